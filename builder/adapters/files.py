"""Write a file whole or not at all. Owns nothing but that; what is written, and where, is the caller's."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from builder.errors import HostError

REMEDIES: Final[Mapping[int, str]] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: your quota is used up",
    errno.EACCES: "it has to be yours: `ls -ld` shows whose it is",
    errno.EPERM: "it has to be yours: `ls -ld` shows whose it is",
    errno.EROFS: "this file system is read-only: work in a folder on another one",
    errno.EEXIST: "a file is in the way where a folder has to be: move it away",
    errno.ENOTDIR: "a file is in the way where a folder has to be: move it away",
    errno.EISDIR: "a folder is in the way where a file has to be: move it away",
    errno.EMFILE: "this process may open too few files: `ulimit -n 1024` raises that",
    errno.ENFILE: "this machine has too many files open: end a program",
    errno.ENAMETOOLONG: "its path is too long: work in a folder nearer to the root",
    errno.ELOOP: "its links lead in a circle: remove one",
    errno.EIO: "the disk fails: `dmesg` says more",
}
PART: Final = ".devbox-part"  # ends the name of a file that is being written


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` in one step; readers see the old content or the new. Raises HostError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
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


def remove_parts(folder: Path) -> None:
    """Remove what a killed process half wrote in `folder` and below: for who knows that nobody writes there now."""
    for path in folder.rglob(f".*{PART}"):
        try:
            path.unlink()
        except OSError as error:
            raise cannot("remove", path, error) from error


def read_plain(path: Path, limit: int) -> bytes | None:
    """What is in a file; None where there is none. Raises HostError for a FIFO or device (reading it might never end),
    and for one of more than `limit` bytes."""
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise HostError("is no plain file", where=str(path), hint="move it away")
        with path.open("rb") as source:
            data = source.read(limit + 1)
    except OSError as error:
        raise cannot("read", path, error) from error
    if len(data) > limit:
        raise HostError(f"is larger than {limit} bytes", where=str(path), hint="move it away: it is none of ours")
    return data


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make `path` and its parents; `mode` is that of the last one when it is new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise cannot("make", path, error) from error


def cannot(verb: str, path: Path, error: OSError) -> HostError:
    hint = REMEDIES.get(error.errno or 0, "look at it with `ls -ld`, and at its folder")
    return HostError(f"cannot {verb} this: {error.strerror or error}", where=str(path), hint=hint)
