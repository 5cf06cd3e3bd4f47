"""Write a file whole or not at all. Owns nothing but that; what is written, and where, is the caller's."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from builder.errors import HostError


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` in one step; readers see the old content or the new. Raises HostError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise cannot("write", path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError):  # gone when it was put in place
            temporary.unlink()


def read_plain(path: Path, limit: int) -> bytes | None:
    """What is in a file; None where there is none. Raises HostError for a FIFO or device (reading it might never end),
    and for one of more than `limit` bytes."""
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise HostError("is no plain file", where=str(path))
        with path.open("rb") as source:
            data = source.read(limit + 1)
    except OSError as error:
        raise cannot("read", path, error) from error
    if len(data) > limit:
        raise HostError(f"is larger than {limit} bytes", where=str(path))
    return data


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make `path` and its parents; `mode` is that of the last one when it is new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise cannot("make", path, error) from error


def cannot(verb: str, path: Path, error: OSError) -> HostError:
    hint = "free some space" if error.errno in {28, 122} else None  # ENOSPC, EDQUOT
    return HostError(f"cannot {verb} this: {error.strerror or error}", where=str(path), hint=hint)
