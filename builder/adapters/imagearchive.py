"""An image in a file: what `docker save` writes, packed with zstd, and at its end what it is.

The end is a frame that zstd passes over, so `zstd -dc FILE | docker load` works where devbox is not. It is read first:
a file that was cut off, or is something else, is refused before an engine is asked for anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

import zstandard

from builder.adapters.files import PART, cannot
from builder.errors import HostError

CHUNK: Final = 1 << 20
LEVEL: Final = 3
SKIPPED: Final = 0x184D2A5D  # RFC 8878, 3.1.2: a frame of a user's own
NOTE: Final = struct.Struct("<II4088s")
Progress = Callable[[int, int], None]


def write_archive(path: Path, chunks: Iterable[bytes], about: Mapping[str, str], on_progress: Progress) -> int:
    """Write the tar that `chunks` are; the size of the file in bytes. `on_progress` hears of bytes of the tar.

    Atomic: an interrupted one leaves nothing, but for one that was killed, whose part the next one to `path` removes.
    Raises HostError.
    """
    try:
        _remove_parts(path)
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", suffix=PART, dir=path.parent, delete=False) as sink:
            try:
                with contextlib.suppress(OSError):  # no locks there: see _remove_parts
                    fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _write(sink.file, chunks, about, on_progress)
                sink.flush()
                os.fsync(sink.fileno())
                Path(sink.name).chmod(0o644)
                Path(sink.name).replace(path)
            except BaseException:
                Path(sink.name).unlink()
                raise
        return path.stat().st_size
    except OSError as error:
        raise cannot("write", path, error) from error


def _remove_parts(path: Path) -> None:
    """Remove what nobody writes any more: a part is locked by its process, and a lock ends with that."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        # One that is being written, or somebody else's, or where there are no locks, stays: it is in nobody's way.
        with contextlib.suppress(OSError):
            if part.is_file():
                with part.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()


def _write(sink: IO[bytes], chunks: Iterable[bytes], about: Mapping[str, str], on_progress: Progress) -> None:
    # All but one processor: the engine packs the layers meanwhile.
    packer = zstandard.ZstdCompressor(level=LEVEL, threads=max(1, (os.cpu_count() or 1) - 1), write_checksum=True)
    done = 0
    with packer.stream_writer(sink, closefd=False) as writer:
        for chunk in chunks:
            writer.write(chunk)
            done += len(chunk)
            on_progress(done, 0)
    sink.write(NOTE.pack(SKIPPED, NOTE.size - 8, json.dumps({**about, "size": str(done)}).encode()))


def read_note(path: Path) -> Mapping[str, str]:
    """What `about` was when the file was written. Raises HostError for any other file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - NOTE.size))
            data = file.read()
    except OSError as error:
        raise cannot("read", path, error) from error
    if len(data) == NOTE.size:
        mark, _, text = NOTE.unpack(data)
        if mark == SKIPPED:
            return {str(key): str(value) for key, value in json.loads(text.rstrip(b"\0")).items()}
    raise HostError(
        "this is no file of `devbox save`, or it was cut off",
        where=str(path),
        hint="copy it again; what `docker save` wrote is for `docker load`",
    )


def read_archive(path: Path, on_progress: Progress) -> Iterator[bytes]:
    """The tar, in chunks. `on_progress` hears of bytes of the file, done and in all. Raises HostError."""
    try:
        with path.open("rb") as file:
            total = path.stat().st_size
            with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as reader:
                while chunk := reader.read(CHUNK):
                    yield chunk
                    on_progress(file.tell(), total)
    except zstandard.ZstdError as error:
        raise HostError(f"this file is damaged ({error})", where=str(path), hint="copy or save it again") from error
    except OSError as error:
        raise cannot("read", path, error) from error
