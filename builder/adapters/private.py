"""Files that nobody else on this machine may read: 0600, in folders of 0700.

Owns how they are written, read and given to whom reads them inside. Must not know what is in them.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.adapters.files import cannot, make_folder, write_atomic
from builder.errors import HostError


def remove_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot("remove", path, error) from error


def private_folder(path: Path, *, given_away: bool = False) -> None:
    """Make `path` with 0700, or tighten it; refuse one that is a link, or somebody else's unless we gave it away."""
    if path.is_symlink():
        raise HostError("is a link; secrets are not kept behind one", where=str(path), hint="remove it")
    make_folder(path, mode=0o700)
    told = path.stat()
    if told.st_uid != os.geteuid() and not given_away:
        raise HostError(
            f"belongs to user id {told.st_uid}, not to you", where=str(path), hint=f"chown it, or remove {path}"
        )
    if told.st_mode & 0o077:
        path.chmod(0o700)


def give(folder: Path, reader: tuple[int, int] | None) -> None:
    """The folder and its files to `reader` (uid, gid), or the files to whom the folder was given before. Only root can,
    and only root has to: anybody else is the reader."""
    if os.geteuid() != 0:
        return
    told = folder.stat()
    owner = reader or (told.st_uid, told.st_gid)
    for path in (folder, *folder.iterdir()):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != owner:
            os.chown(path, *owner, follow_symlinks=False)


def read_private(path: Path) -> bytes | None:
    """The content, its permissions put right first; None where there is no such file."""
    try:
        if path.is_symlink():
            raise HostError("is a link; secrets are not kept behind one", where=str(path), hint="remove it")
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from error


def write_private(path: Path, text: str) -> None:
    data = text.encode()
    if read_private(path) != data:
        write_atomic(path, data, mode=0o600)
