"""A tar that is read or written while it passes: in chunks, never whole. Must not know what its members are."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import IO, Final

CHUNK: Final = 1 << 20
END: Final = bytes(2 * tarfile.BLOCKSIZE)


class ChunkFile(io.RawIOBase):
    """Chunks as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._left = self._left or memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def write_head(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def write_body(source: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of `source`, and what fills up their last block. Raises EOFError where it has fewer."""
    left = size
    while left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise EOFError(f"{left} bytes are missing")
        yield chunk
        left -= len(chunk)
    if rest := size % tarfile.BLOCKSIZE:
        yield bytes(tarfile.BLOCKSIZE - rest)
