"""The folder a person works in: its `devbox.yaml` and `devbox-lock.json`, and `.workstation/` with the rendered files,
the state and the lock against others.

Owns everything below `.workstation/`, writes those two files as a whole, and touches nothing else. A file there that we
did not write is never changed or removed: what is ours is listed, with its sha256, in `.workstation/manifest.json`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot, make_folder, read_plain, remove_parts, write_atomic
from builder.adapters.holder import Holder, find_unfinished
from builder.adapters.process import Stopped, never
from builder.adapters.state import dump_state, load_state
from builder.adapters.workspace_lock import Held, OnWait, take_lock
from builder.errors import ConfigError, HostError
from builder.model import RenderedTree, State

CONFIG: Final = "devbox.yaml"
LOCKED: Final = "devbox-lock.json"
FOLDER: Final = ".workstation"
LOCK: Final = "lock"
SCHEMA: Final = "devbox.schema.json"
OWN: Final = frozenset({".gitignore", LOCK, "manifest.json", "state.json", SCHEMA})
MAX_CONFIG: Final = 1 << 20
MAX_STATE: Final = 16 << 20  # a manifest has a line for each file of a framework


OnLeft = Callable[[Holder], None]


def silent(holder: Holder | None) -> None:
    """Of somebody who does not want to know."""


def is_there(folder: str) -> bool:
    """Whether a workspace is there; it counts as there where that cannot be seen."""
    try:
        return stat.S_ISDIR(os.stat(folder).st_mode)  # noqa: PTH116  # Path.is_dir hides what went wrong
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


class Workspace:
    """One workspace folder. Nothing is made before something is written or locked."""

    def __init__(
        self, root: Path, *, on_wait: OnWait = silent, on_left: OnLeft = silent, stopped: Stopped = never
    ) -> None:
        if not root.is_dir():
            raise HostError("there is no such folder", where=str(root), hint="-C takes an existing folder")
        self._root = root.resolve()
        self._on_wait = on_wait
        self._on_left = on_left
        self._stopped = stopped
        self._held: Held | None = None

    @property
    def root(self) -> Path:
        return self._root

    @property
    def folder(self) -> Path:
        return self._root / FOLDER

    def exists(self, folder: str) -> bool:
        """Whether another workspace is there."""
        return is_there(folder)

    def read_config(self) -> bytes | None:
        """The bytes of devbox.yaml, None where there is none. A folder, FIFO, device or huge file is a ConfigError."""
        path = self._root / CONFIG
        try:
            if not path.exists():
                return None
            if not path.is_file():
                raise ConfigError("is no plain file", where=CONFIG, hint="move it away; `devbox init` writes one")
            with path.open("rb") as file:
                data = file.read(MAX_CONFIG + 1)
            if len(data) > MAX_CONFIG:
                raise ConfigError("the file is larger than 1 MB", where=CONFIG, hint="is it the right file?")
            return data
        except OSError as error:
            raise cannot("read", path, error) from error

    def write_config(self, text: bytes) -> None:
        write_atomic(self._root / CONFIG, text, mode=0o644)

    def write_schema(self, text: bytes) -> str:
        """Keep the schema of devbox.yaml where an editor finds it; its path as devbox.yaml names it."""
        self._make()
        _write_changed(self.folder / SCHEMA, text, 0o644)
        return f"{FOLDER}/{SCHEMA}"

    def load_lock(self) -> bytes | None:
        """The bytes of devbox-lock.json, None where there is none."""
        return read_plain(self._root / LOCKED, MAX_STATE)

    def save_lock(self, data: bytes) -> None:
        write_atomic(self._root / LOCKED, data, mode=0o644)

    def read_file(self, name: str) -> bytes | None:
        """The bytes of a small file of the person's own folder, None where there is none."""
        return read_plain(self._root / name, MAX_CONFIG)

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
        self.check_names(tree)
        for name, file in tree.items():
            path = self.folder / name
            make_folder(path.parent)
            _write_changed(path, file.data, 0o755 if file.executable else 0o644)
        for name in sorted(before.keys() - tree.keys()):
            self._remove_ours(name, before[name])
        self._save_manifest({name: _sha256(file.data) for name, file in sorted(tree.items())})

    def check_names(self, names: Iterable[str]) -> None:
        """Raises HostError for a name that no rendered file may have, and where something else is in the way."""
        paths = [self._place(name) for name in names]
        for folder in sorted({path.parent for path in paths}):
            if not folder.resolve().is_relative_to(self.folder):
                raise HostError("lies behind a link", where=str(folder), hint="remove the link")
        for path in paths:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise HostError("is in the way and no file of devbox", where=str(path), hint="move it away")

    def _place(self, name: str) -> Path:
        parts = Path(name).parts
        if name in OWN or Path(name).is_absolute() or ".." in parts or not parts:
            raise HostError(f"no rendered file may be called {name!r}", where=str(self.folder))
        return self.folder / name

    def drop(self, name: str) -> None:
        """Take one rendered file away, unless a person changed it since."""
        told = self._load_manifest()
        if name in told:
            self._remove_ours(name, told.pop(name))
            self._save_manifest(told)

    def _make(self) -> None:
        if self.folder.is_symlink():
            raise HostError("is a link, and may lead anywhere", where=str(self.folder), hint="remove it")
        make_folder(self.folder)
        if not os.access(self.folder, os.W_OK | os.X_OK) and (owner := self.folder.stat().st_uid) != os.geteuid():
            raise HostError(
                f"belongs to user id {owner}, and you are {os.geteuid()}",
                where=str(self.folder),
                hint=f"work as that user, or take it over: `sudo chown -R {os.geteuid()} {self.folder}`",
            )
        _write_changed(self.folder / ".gitignore", b"*\n", 0o644)

    def _load_manifest(self) -> dict[str, str]:
        """Names we wrote, with sha256. A damaged list means that nothing is known to be ours."""
        try:
            told = json.loads(read_plain(self.folder / "manifest.json", MAX_STATE) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}

    def _save_manifest(self, told: dict[str, str]) -> None:
        _write_changed(self.folder / "manifest.json", (json.dumps(told, indent=1) + "\n").encode(), 0o644)

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
    def lock(self, verb: str) -> Iterator[bool]:
        """Be the only one who changes this workspace. Waits for another one, after telling `on_wait` who it is.

        True where the last one was killed, who is told to `on_left`; what it half wrote here is taken away.
        """
        self._make()
        with take_lock(self.folder / LOCK, verb, on_wait=self._on_wait, stopped=self._stopped) as held:
            self._held = held
            try:
                if held.left is not None:
                    self._on_left(held.left)
                    remove_parts(self.folder)
                yield held.left is not None
            finally:
                self._held = None

    def intend(self, act: str) -> None:
        """Write down, before it is done, what is done next: "building the image". Only who holds the lock has plans."""
        if self._held is not None:
            self._held.intend(act)

    def find_unfinished(self) -> str:
        """What a killed process left here, in words; empty where all was ended."""
        left = find_unfinished(self.folder / LOCK)
        return left.describe_end() if left is not None else ""


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
