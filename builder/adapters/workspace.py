"""The folder a person works in: its `devbox.yaml`, and `.workstation/` with the rendered files, the state and the lock.

Owns everything below `.workstation/` and touches nothing else. A file there that we did not write is never changed or
removed: what is ours is listed, with its sha256, in `.workstation/manifest.json`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import hashlib
import json
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.adapters.process import Stopped, never
from builder.adapters.state import dump_state, load_state
from builder.errors import ConfigError, HostError, Interrupted
from builder.model import RenderedTree, State

CONFIG: Final = "devbox.yaml"
FOLDER: Final = ".workstation"
OWN: Final = frozenset({".gitignore", "lock", "manifest.json", "state.json"})
LOCK_POLL_S: Final = 0.2
MAX_CONFIG: Final = 1 << 20
MAX_STATE: Final = 16 << 20  # a manifest has a line for each file of a framework


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who works in a workspace now. `since` is in seconds since 1970."""

    pid: int
    host: str
    user: str
    verb: str
    since: float

    def __str__(self) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"`devbox {self.verb}` (process {self.pid} of {self.user} on {self.host}, since {at})"


OnWait = Callable[[Holder | None], None]  # who is waited for; None where that cannot be said


class Workspace:
    """One workspace folder. Nothing is made before something is written or locked."""

    def __init__(self, root: Path, *, on_wait: OnWait = lambda holder: None, stopped: Stopped = never) -> None:
        if not root.is_dir():
            raise HostError("there is no such folder", where=str(root))
        self._root = root.resolve()
        self._on_wait = on_wait
        self._stopped = stopped

    @property
    def root(self) -> Path:
        return self._root

    @property
    def folder(self) -> Path:
        return self._root / FOLDER

    def read_config(self) -> bytes | None:
        """The bytes of devbox.yaml, None where there is none. A folder, FIFO, device or huge file is a ConfigError."""
        path = self._root / CONFIG
        try:
            if not path.exists():
                return None
            if not path.is_file():
                raise ConfigError("is no plain file", where=CONFIG)
            with path.open("rb") as file:
                data = file.read(MAX_CONFIG + 1)
            if len(data) > MAX_CONFIG:
                raise ConfigError("the file is larger than 1 MB", where=CONFIG, hint="is it the right file?")
            return data
        except OSError as error:
            raise cannot("read", path, error) from error

    def write_config(self, text: bytes) -> None:
        write_atomic(self._root / CONFIG, text, mode=0o644)

    def write_file(self, name: str, text: bytes, *, force: bool) -> Path:
        """Write a file of the person's own folder. Raises ConfigError when it is there, unless `force`."""
        path = self._root / name
        if path.exists() and not force:
            raise ConfigError("there is such a file already", where=str(path), hint="--force replaces it")
        make_folder(path.parent)
        write_atomic(path, text, mode=0o644)
        return path

    # ------------------------------------------------------------------------------------------------- state

    def load_state(self) -> State:
        """What is remembered; nothing yet is an empty State. Raises LockError for a damaged or newer file."""
        path = self.folder / "state.json"
        data = read_plain(path, MAX_STATE)
        return State() if data is None else load_state(data, where=str(path))

    def save_state(self, state: State) -> None:
        self._make()
        _write_changed(self.folder / "state.json", dump_state(state), 0o644)

    # ----------------------------------------------------------------------------------------- rendered files

    def write_tree(self, tree: RenderedTree) -> None:
        """Make `.workstation/` hold `tree`: write what changed, remove what we wrote before and is not wanted now.

        Raises HostError before anything is written when a file that is not ours is in the way.
        """
        self._make()
        before = self._load_manifest()
        for name in tree:
            self._check_ours(name, before)
        for name, file in tree.items():
            path = self.folder / name
            make_folder(path.parent)
            _write_changed(path, file.data, 0o755 if file.executable else 0o644)
        for name in sorted(before.keys() - tree.keys()):
            self._remove_ours(name, before[name])
        told = {name: _sha256(file.data) for name, file in sorted(tree.items())}
        _write_changed(self.folder / "manifest.json", (json.dumps(told, indent=1) + "\n").encode(), 0o644)

    def remove(self) -> None:
        """Take `.workstation/` away, with all in it: every file of it can be made again."""
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot("remove", self.folder, error) from error

    def _make(self) -> None:
        if self.folder.is_symlink():
            raise HostError("is a link, and may lead anywhere", where=str(self.folder), hint="remove it")
        make_folder(self.folder)
        _write_changed(self.folder / ".gitignore", b"*\n", 0o644)

    def _load_manifest(self) -> dict[str, str]:
        """Names we wrote, with sha256. A damaged list means that nothing is known to be ours."""
        try:
            told = json.loads(read_plain(self.folder / "manifest.json", MAX_STATE) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}

    def _check_ours(self, name: str, before: dict[str, str]) -> None:
        path = self.folder / name
        parts = Path(name).parts
        if name in OWN or Path(name).is_absolute() or ".." in parts or not parts:
            raise HostError(f"no rendered file may be called {name!r}", where=str(self.folder))
        if not path.parent.resolve().is_relative_to(self.folder):
            raise HostError("lies behind a link", where=str(path), hint="remove the link")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise HostError("is in the way and no file of devbox", where=str(path), hint="move it away")

    def _remove_ours(self, name: str, sha256: str) -> None:
        """Remove one that we wrote, unless a person changed it since; then empty folders above it."""
        path = self.folder / name
        if ".." in Path(name).parts or not path.parent.resolve().is_relative_to(self.folder) or not path.is_file():
            return
        if _sha256(path.read_bytes()) != sha256:
            return
        path.unlink()
        for parent in path.parents:
            if parent == self.folder or any(parent.iterdir()):
                break
            parent.rmdir()

    # -------------------------------------------------------------------------------------------------- lock

    @contextlib.contextmanager
    def lock(self, verb: str) -> Iterator[None]:
        """Be the only one who changes this workspace. Waits for another one, after telling `on_wait` who it is.

        The lock is the kernel's (flock), so that of a process that died is free without anybody's help.
        """
        self._make()
        path = self.folder / "lock"
        with self._take(path) as handle:
            _write_holder(handle, verb)
            try:
                yield
            finally:
                os.ftruncate(handle, 0)

    @contextlib.contextmanager
    def _take(self, path: Path) -> Iterator[int]:
        said: Holder | None = None
        told = False
        while True:
            handle = _open_lock(path)
            try:
                if _try_lock(handle, path) and _is_still(handle, path):
                    yield handle
                    return
                holder = _read_holder(handle)
                if not told or (holder is not None and holder != said):
                    told, said = True, holder
                    self._on_wait(holder)
            finally:
                os.close(handle)
            if self._stopped():
                raise Interrupted("stopped on request")
            time.sleep(LOCK_POLL_S)


def _open_lock(path: Path) -> int:
    try:
        make_folder(path.parent)  # the one we wait for may be a `down` that takes the folder away
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise cannot("lock", path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise HostError("is no plain file, and cannot be locked", where=str(path), hint="remove it")
    return handle


def _try_lock(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.ENOLCK:
            raise HostError("this file system knows no locks", where=str(path)) from error
        raise cannot("lock", path, error) from error
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one at `path`: it may have been removed while we waited."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(handle: int, verb: str) -> None:
    told = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": _user(),
        "verb": verb,
        "since": round(time.time(), 3),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(told).encode(), 0)


def _read_holder(handle: int) -> Holder | None:
    """Who holds it; None in the blink of an eye in which the holder has not written its name yet."""
    try:
        told = json.loads(os.pread(handle, 4096, 0))
        return Holder(
            pid=int(told["pid"]),
            host=str(told["host"]),
            user=str(told["user"]),
            verb=str(told["verb"]),
            since=float(told["since"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name; OSError since Python 3.13
        return str(os.getuid())


def _write_changed(path: Path, data: bytes, mode: int) -> None:
    try:
        if path.is_file() and path.read_bytes() == data:
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)
            return
    except OSError as error:
        raise cannot("read", path, error) from error
    write_atomic(path, data, mode=mode)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
