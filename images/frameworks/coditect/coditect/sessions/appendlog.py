"""A file that only grows, of which a committed length counts. Owns the bytes on the disk.

Must not know what the bytes mean, nor when they are committed: whoever keeps the index says so, after `sync`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from coditect.errors import StoreError

BUFFER: Final = 1 << 20


class AppendLog:
    """Open for writing, with whatever lies behind the committed length cut off: a killed writer left it there."""

    def __init__(self, path: Path, committed: int) -> None:
        self.path, self.committed = path, committed
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.size = self._cut()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._waiting = bytearray()

    def _cut(self) -> int:
        size = os.fstat(self._descriptor).st_size
        if size < self.committed:
            raise StoreError(
                f"{self.committed - size} bytes are missing at its end",
                where=str(self.path),
                hint="restore a backup; or move unified_index.sqlite away and ingest again, to go on with what is left",
            )
        if size > self.committed:
            os.ftruncate(self._descriptor, self.committed)
        return self.committed

    def append(self, *parts: bytes) -> int:
        """Add bytes; the offset at which they begin. They may still be in memory: `sync` puts them on the disk."""
        at = self.size
        for part in parts:
            self._waiting += part
            self.size += len(part)
        if len(self._waiting) >= BUFFER:
            self._flush()
        return at

    def _flush(self) -> None:
        with memoryview(self._waiting) as view:
            written = 0
            while written < len(view):
                written += os.write(self._descriptor, view[written:])
        self._waiting.clear()

    def sync(self) -> None:
        """Everything so far is on the disk when this returns."""
        if self.size > self.committed:
            self._flush()
            os.fsync(self._descriptor)

    def mark_committed(self) -> None:
        """The index knows everything so far."""
        self.committed = self.size

    def close(self) -> None:
        """Gives back the room of what was never committed; where that fails, the next writer does it."""
        with suppress(OSError):
            if os.fstat(self._descriptor).st_size > self.committed:
                os.ftruncate(self._descriptor, self.committed)
        os.close(self._descriptor)
