"""The lock of a workspace: one process at a time changes it, and what it is about to do is written before it is done.

The lock is the kernel's (flock), so that of a process that died is free without anybody's help. What it says is
`holder`'s. Owns `.workstation/lock`; what several workspaces share is locked in the same way (`sources`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.files import cannot, make_folder
from builder.adapters.holder import MAX_BYTES, Holder, dump_holder, parse_holder, this_holder
from builder.errors import HostError, Interrupted

if TYPE_CHECKING:
    from builder.adapters.process import Stopped

LOCK_POLL_S: Final = 0.2
NO_FILE: Final = (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV)  # a folder, a link, a socket, a device

OnWait = Callable[[Holder | None], None]  # who is waited for; None where that cannot be said


@dataclass(slots=True, kw_only=True)
class Held:
    """The lock, in our hands."""

    path: Path
    handle: int
    holder: Holder
    left: Holder | None  # who had it before, if that one was killed

    def intend(self, act: str) -> None:
        """Write down what is done next; if we are killed there, the next one can say so."""
        self.holder = replace(self.holder, doing=act)
        self.write(dump_holder(self.holder))

    def write(self, data: bytes) -> None:
        """In one write and then cut off what was longer: killed between the two, it is read all the same."""
        try:
            os.pwrite(self.handle, data, 0)
            os.ftruncate(self.handle, len(data))
        except OSError as error:
            raise cannot("write", self.path, error) from error


@contextlib.contextmanager
def take_lock(path: Path, verb: str, *, on_wait: OnWait, stopped: Stopped) -> Iterator[Held]:
    """Be the only one. Waits for another one, after telling `on_wait` who it is, and again when that changes."""
    with _wait(path, on_wait, stopped) as handle:
        left = parse_holder(os.pread(handle, MAX_BYTES, 0))
        held = Held(path=path, handle=handle, holder=this_holder(verb), left=left)
        held.write(dump_holder(held.holder))
        try:
            yield held
        finally:
            os.ftruncate(handle, 0)


@contextlib.contextmanager
def _wait(path: Path, on_wait: OnWait, stopped: Stopped) -> Iterator[int]:
    said: str | None = None
    while True:
        handle = _open(path)
        try:
            if _try_lock(handle, path) and _is_still(handle, path):
                yield handle
                return
            holder = parse_holder(os.pread(handle, MAX_BYTES, 0))
            who = f"{holder.pid} {holder.since}" if holder else ""
            if said is None or (who and who != said):
                said = who
                on_wait(holder)
        finally:
            os.close(handle)
        if stopped():
            raise Interrupted("stopped on request")
        time.sleep(LOCK_POLL_S)


def _open(path: Path) -> int:
    try:
        make_folder(path.parent)  # somebody may have removed it while we waited
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in NO_FILE:
            raise _no_file(path) from error
        raise cannot("lock", path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_file(path)
    return handle


def _no_file(path: Path) -> HostError:
    return HostError("is no plain file, and cannot be locked", where=str(path), hint=f"remove it: `rm -r {path}`")


def _try_lock(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.ENOLCK:
            hint = "work in a folder of a local file system"
            raise HostError("this file system knows no locks", where=str(path), hint=hint) from error
        raise cannot("lock", path, error) from error
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one at `path`: it may have been removed while we waited."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
