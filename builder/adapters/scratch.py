"""Folders for what is under way: gone at the end, and found by the next one where the process was killed before.

Beside each lies a file that the kernel keeps locked for as long as its process lives (flock, as for a workspace). Who
makes the next folder there removes those whose lock is free. Never touches what has no such file, or another owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot, make_folder
from builder.errors import HostError

LOCK: Final = ".lock"
MOUNTS: Final = Path("/proc/self/mounts")


@contextlib.contextmanager
def scratch_folder(parent: Path, prefix: str = "") -> Iterator[Path]:
    """A folder below `parent`, which is made. It may be renamed away: what is finished gets its name like that."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, prefix)
        handle, lock = _take(parent, prefix)
    except OSError as error:
        raise cannot("make a folder in", parent, error) from error
    work = lock.with_suffix("")
    try:
        make_folder(work, mode=0o700)
        yield work
    finally:
        remove_tree(work)
        lock.unlink(missing_ok=True)
        os.close(handle)


def remove_tree(folder: Path, *, table: Path = MOUNTS) -> None:
    """Remove a folder, if it is there; but never walk into something mounted in it: it could be the host's own."""
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    mounts = [line.split()[1].replace("\\040", " ") for line in lines]  # proc(5): a blank is written \040
    if any(mount.startswith(f"{folder}/") for mount in mounts):
        raise HostError(
            "something is still mounted in here", where=str(folder), hint="unmount it, then remove the folder"
        )
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise cannot("remove", folder, error) from error


def _take(parent: Path, prefix: str) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=LOCK, dir=parent)
        if _try_lock(handle) and os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another one's sweep came between the two


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(parent: Path, prefix: str) -> None:
    for lock in parent.glob(f"{prefix}*{LOCK}"):
        told = lock.lstat()
        if not stat.S_ISREG(told.st_mode) or told.st_uid != os.geteuid():
            continue
        # What a killed program of ours still writes to, or has files of other users in, is left to the next time.
        with contextlib.suppress(OSError, HostError):
            _remove_stale(lock)


def _remove_stale(lock: Path) -> None:
    handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if _try_lock(handle):
            remove_tree(lock.with_suffix(""))
            lock.unlink()
    finally:
        os.close(handle)
