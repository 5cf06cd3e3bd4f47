"""Where a checkpoint stands in the sessions: `sessions.json`. Owns taking these pointers and checking them later.

The messages file only grows, so a length and a checksum of what was there prove that it still is. Reads only what is
committed; must not write to the store.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from coditect.errors import StoreError
from coditect.records import message_id, parse_record, read_fields

if TYPE_CHECKING:
    from coditect.store import Store

POINTERS_FILE: Final = "sessions.json"
BLOCK: Final = 1 << 20

# In canonical JSON this is a key with a text, never a part of a text: quotes in texts are escaped. It may belong to an
# object further inside, so what it finds is a candidate and no more.
_SESSION: Final = re.compile(rb'"session(?:Id|_id)?":("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Pointers:
    """The messages file as it was: bytes committed, their SHA-256, messages in them, and the last message of each."""

    committed: int = 0
    messages: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    last_message: str | None = None
    sessions: Mapping[str, str] = field(default_factory=dict)  # session -> id of its last message

    def as_text(self) -> str:
        document = {"messages_file": "context-storage/unified_messages.jsonl", **asdict(self)}
        return json.dumps(document, indent=1, sort_keys=True) + "\n"


def read_pointers(text: str, where: str) -> Pointers:
    """From the text of a `sessions.json`. Raises StoreError."""
    try:
        document = json.loads(text)
        return Pointers(
            committed=int(document["committed"]),
            messages=int(document["messages"]),
            sha256=str(document["sha256"]),
            last_message=document["last_message"],
            sessions=dict(document["sessions"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{POINTERS_FILE} is damaged: {error!r}", where=where) from error


def take_pointers(store: Store, earlier: Pointers | None = None) -> Pointers:
    """The state of the sessions now. What `earlier` says is taken over if its checksum holds: only the rest is read."""
    committed = store.committed()
    if committed == 0:
        return Pointers()
    with _open_messages(store, committed) as file:
        scan = _Scan(file, _prove(file, earlier, committed))
        for block in _blocks(file, committed - file.tell()):
            scan.add(block)
        return scan.finish(committed)


def _prove(file: BinaryIO, earlier: Pointers | None, committed: int) -> _Proven:
    """The earlier pointers, with the file read up to their end; else none, and the file at its beginning."""
    digest = hashlib.sha256()
    if earlier is None or earlier.committed > committed:
        return _Proven(Pointers(), digest)
    for block in _blocks(file, earlier.committed):
        digest.update(block)
    if digest.hexdigest() == earlier.sha256:
        return _Proven(earlier, digest)
    file.seek(0)
    return _Proven(Pointers(), hashlib.sha256())


@dataclass(frozen=True)
class _Proven:
    pointers: Pointers
    digest: hashlib._Hash


def check_pointers(store: Store, pointers: Pointers) -> None:
    """Raises StoreError unless all that the checkpoint points to is still there, to the byte."""
    if pointers.committed == 0:
        return
    with _open_messages(store, pointers.committed) as file:
        digest = hashlib.sha256()
        for block in _blocks(file, pointers.committed):
            digest.update(block)
    if digest.hexdigest() != pointers.sha256:
        message = f"the first {pointers.messages} messages are not those of the checkpoint"
        raise StoreError(message, where=str(store.messages), hint="a backup has them: coditect restore --to DIR")


def _open_messages(store: Store, length: int) -> BinaryIO:
    hint = "a backup has them: coditect restore --to DIR"
    try:
        file = store.messages.open("rb")
    except OSError as error:
        message = f"the messages cannot be read: {error.strerror}"
        raise StoreError(message, where=str(store.messages), hint=hint) from error
    size = Path(store.messages).stat().st_size
    if size < length:
        file.close()
        raise StoreError(f"{length} bytes are expected, {size} are there", where=str(store.messages), hint=hint)
    return file


def _blocks(file: BinaryIO, length: int) -> Iterator[bytes]:
    left = length
    while left:
        block = file.read(min(BLOCK, left))
        if not block:
            raise StoreError("the messages were cut off while they were read", where=file.name)
        left -= len(block)
        yield block


class _Scan:
    """One pass over the messages: checksum, count, and for each session the lines that may belong to it."""

    def __init__(self, file: BinaryIO, proven: _Proven) -> None:
        self.file = file
        self.earlier, self.digest = proven.pointers, proven.digest
        self.messages = self.earlier.messages
        self.position = self.earlier.committed  # where the first line begins that was not looked at
        self.rest: list[bytes] = []  # what was read of it
        self.last_line: int | None = None
        self.candidates: dict[str, array[int]] = {}
        self.spellings: dict[bytes, array[int]] = {}  # one name can be written in two ways

    def add(self, block: bytes) -> None:
        """Most of a block is looked at where it is: copies would take longer than the checksum."""
        self.digest.update(block)
        first, cut = block.find(b"\n") + 1, block.rfind(b"\n") + 1
        if cut == 0:  # a line longer than a block
            self.rest.append(block)
            return
        line = b"".join((*self.rest, block[:first]))
        self._look_at(line, 0, len(line))
        if first < cut:
            self._look_at(block, first, cut)
        self.rest = [block[cut:]]

    def _look_at(self, data: bytes, begin: int, end: int) -> None:
        """Whole lines."""
        shift = self.position - begin
        for match in _SESSION.finditer(data, begin, end):
            self._note(match[1], shift + max(begin, data.rfind(b"\n", begin, match.start()) + 1))
        self.last_line = shift + max(begin, data.rfind(b"\n", begin, end - 1) + 1)
        self.messages += data.count(b"\n", begin, end)
        self.position += end - begin

    def _note(self, spelling: bytes, line: int) -> None:
        lines = self.spellings.get(spelling)
        if lines is None:
            lines = self.candidates.setdefault(json.loads(spelling), array("Q"))
            self.spellings[spelling] = lines
        if not lines or lines[-1] != line:
            lines.append(line)

    def finish(self, committed: int) -> Pointers:
        if any(self.rest):
            raise StoreError("the committed part does not end with a whole line", where=self.file.name)
        found = {name: _last_of(self.file, name, lines) for name, lines in self.candidates.items()}
        if self.last_line is None:
            last_message = self.earlier.last_message
        else:
            last_message = message_id(_line_at(self.file, self.last_line)).hex()
        return Pointers(
            committed=committed,
            messages=self.messages,
            sha256=self.digest.hexdigest(),
            last_message=last_message,
            sessions={**self.earlier.sessions, **{name: last for name, last in found.items() if last}},
        )


def _last_of(file: BinaryIO, session: str, starts: array[int]) -> str:
    """The last of these lines that is a message of the session; nothing if the name is only a detail in all of them."""
    for start in reversed(starts):
        line = _line_at(file, start)
        if session and read_fields(parse_record(line)).session == session:
            return message_id(line).hex()
    return ""


def _line_at(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.readline().rstrip(b"\n")
