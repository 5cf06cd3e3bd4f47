"""Reads session files: where to begin, line by line, what the end means. Owns the state of a source while it is read.

A last line without a newline is read as a message when it is a whole JSON object (it cannot become another one by
growing), and otherwise left where it is: it may be half written. In both cases the next run begins with it, so that it
is neither lost nor taken for broken.

A file that was rewritten is read from its start. It is known by its inode, by its size, by its time when the size is
the same, and by the first and the last line that were read. What is rewritten in place, grows, and has those two lines
where they were, is taken for a file that has grown; `--again` reads everything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final

from coditect.records import BrokenRecordError, parse_record

if TYPE_CHECKING:
    from coditect.sessions.index import Source
    from coditect.sessions.keeper import Keeper

BUFFER: Final = 256 << 10
# A line that is longer is no message: it would take several times as much memory. It goes into quarantine in pieces.
LONGEST: Final = 64 << 20
# A file may change again without a trace in its times so soon after a change; then the next run looks at it again.
SETTLED_NS: Final = 2 * 10**9
# How often a reader says where it is: bytes.
STRIDE: Final = 4 << 20


def is_unchanged(source: Source, found: os.stat_result) -> bool:
    """Nothing was written to this file since it was read to its end."""
    return (
        source.done
        and source.size == found.st_size
        and source.mtime_ns == found.st_mtime_ns
        and source.inode == found.st_ino
    )


def was_rewritten(source: Source, file: BinaryIO, found: os.stat_result) -> bool:
    """Is this something else than the file that was read, with more at its end? What was appended to has grown."""
    if not source.inode:  # never read
        return False
    touched = source.size == found.st_size and source.mtime_ns != found.st_mtime_ns
    if touched or source.inode != found.st_ino or found.st_size < source.read:
        return True
    return not (
        _has(file, 0, source.first_length, source.first)
        and _has(file, source.read - source.last_length - 1, source.last_length, source.last)
    )


def _has(file: BinaryIO, offset: int, length: int, digest: bytes) -> bool:
    return not digest or sha256(os.pread(file.fileno(), length, offset)).digest() == digest


def open_at(source: Source, file: BinaryIO) -> None:
    """Put the file where reading goes on; a file that was rewritten is read from its start."""
    found = os.fstat(file.fileno())
    if was_rewritten(source, file, found):
        source.forget()
    source.inode, source.size, source.mtime_ns, source.done = found.st_ino, found.st_size, found.st_mtime_ns, False
    file.seek(source.read)


def close_at(source: Source) -> None:
    """The end was reached; said only of a file whose times can be trusted to tell of the next change."""
    source.done = source.mtime_ns < time.time_ns() - SETTLED_NS


class LineReader:
    """Hands the lines of one file to a keeper. `pause` is called every now and then, between two lines."""

    def __init__(self, keeper: Keeper, source: Source, pause: Callable[[int], None]) -> None:
        self.keeper, self.source, self.pause = keeper, source, pause

    def read(self, file: BinaryIO) -> None:
        source, take, readline = self.source, self.keeper.take, file.readline
        reported = source.read
        while raw := readline(LONGEST + 1):
            if raw[-1] != 10 or source.inside or source.tail:
                if not self._read_odd(raw):
                    break
            else:
                source.last = take(raw[:-1], source, source.lines + 1, source.read)
                self._advance(raw)
            if source.read - reported >= STRIDE:
                self.pause(source.read - reported)
                reported = source.read
        self.pause(source.read - reported)

    def _advance(self, raw: bytes) -> None:
        source = self.source
        source.last_length = len(raw) - 1
        if not source.lines:
            source.first, source.first_length = source.last, source.last_length
        source.read += len(raw)
        source.lines += 1

    def _read_odd(self, raw: bytes) -> bool:
        """Anything but a whole line of the usual kind; False at the end of the file."""
        whole = raw.endswith(b"\n")
        if self.source.inside or len(raw) > LONGEST + whole:
            return self._read_long(raw, whole)
        if whole:
            self._end_tail(raw)
        else:
            self._read_tail(raw)
        return whole

    def _read_long(self, raw: bytes, whole: bool) -> bool:
        """A piece of a line that is too long."""
        if not whole and len(raw) <= LONGEST:
            return False
        source = self.source
        reason = f"longer than {LONGEST >> 20} MiB"
        self.keeper.reject(raw, reason, source, source.lines + 1, source.read, continued=source.inside)
        source.inside, source.tail = not whole, b""
        source.read += len(raw)
        if whole:
            source.lines += 1
            source.last = b""  # how far back this line began is not known
        return True

    def _read_tail(self, raw: bytes) -> None:
        source, digest = self.source, sha256(raw).digest()
        if source.tail == digest:
            return
        try:
            parse_record(raw)
        except BrokenRecordError:
            return
        source.tail = self.keeper.take(raw, source, source.lines + 1, source.read)

    def _end_tail(self, raw: bytes) -> None:
        """The line of the message that was read before its newline was there."""
        source = self.source
        digest = sha256(raw[:-1]).digest()
        if digest != source.tail:
            self.keeper.take(raw[:-1], source, source.lines + 1, source.read)
        source.last, source.tail = digest, b""
        self._advance(raw)
