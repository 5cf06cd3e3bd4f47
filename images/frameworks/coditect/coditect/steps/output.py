"""The output of a step: kept in a file as it came, up to a bound, with its end at hand. Also: output made legible.

Nothing here depends on lines: binary, endless and newline-less output costs the same few kilobytes of memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOG_LIMIT: Final = 256 * 2**20  # of one step; what comes after it is read, counted and dropped
TAIL_BYTES: Final = 4096
CHUNK: Final = 2**16

# Escape sequences (CSI, OSC, others), then whatever else would move the cursor or ring a bell.
ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Log:
    """The file of one step's output. A failure to write is kept in `error`: the step must end, not the run."""

    def __init__(self, path: Path, limit: int = LOG_LIMIT) -> None:
        """Raises OSError."""
        self.path, self.limit = path, limit
        self.tail = b""
        self.error = ""
        self._size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        kept = data[: max(0, self.limit - self._size)]
        self._size += len(kept)
        self._store(kept)
        if len(kept) < len(data) and kept:
            self._store(f"\n[coditect: only the first {self.limit} bytes are kept]\n".encode())

    def note(self, text: str) -> None:
        """A line of our own between the output of two attempts."""
        self.write(f"[coditect: {text}]\n".encode())

    def _store(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self.error = f"its output cannot be kept: {error.strerror}"

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_tail(log: Path, size: int) -> bytes:
    """The end of a log."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read()


def read_blocks(log: Path, most: int) -> Iterator[bytes]:
    """A whole log bit by bit, or only its end when it is longer than `most`."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        while block := file.read(CHUNK):
            yield block


def make_legible(output: bytes) -> str:
    """Text that cannot harm a terminal: no escape sequences, no controls; `\\r` starts a line."""
    text = ESCAPES.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")
    return CONTROLS.sub("", text)


def last_lines(output: bytes, count: int) -> list[str]:
    """The last lines that say something."""
    lines = [line.rstrip() for line in make_legible(output).split("\n")]
    return [line for line in lines if line][-count:]
