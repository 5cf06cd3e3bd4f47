"""What devbox keeps on this machine's disk for one person: the state of each workstation, and the cache.

Owns the look at both folders and the removal of what is in them. Never walks into what is mounted there, follows no
link, and removes nothing that lies elsewhere.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.backups.store import EARLIER, PASSWORD, VOLUMES
from builder.adapters.files import cannot, read_plain
from builder.adapters.handed import PASSWORD as OPENING
from builder.adapters.handed import SIDECARS
from builder.adapters.history import FILE as HISTORY
from builder.adapters.history import MAX_HISTORY, load_history
from builder.adapters.places import name_folder, read_place
from builder.adapters.scratch import remove_tree
from builder.adapters.workspace import FOLDER, LOCKED, MAX_STATE, OWN, Workspace, is_there
from builder.core.leftovers import Cached, Known
from builder.errors import HostError, LockError

if TYPE_CHECKING:
    from builder.adapters.holder import Holder

DAY_S: Final = 86_400
BUSY: Final = ("locks", "tmp")  # of the cache: what processes hold right now
GENERAL: Final = ("authority", "reports", "runs")  # of the state: of no single workstation


class Estate:
    """`state` and `cache` are folders of devbox's own, which need not be there."""

    def __init__(self, state: Path, cache: Path) -> None:
        self._state = state
        self._cache = cache

    @property
    def folders(self) -> tuple[str, ...]:
        return str(self._state), str(self._cache)

    def moment(self, ago_s: float) -> str:
        """RFC 3339, UTC."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))

    def is_mine(self, workspace: str) -> bool:
        """Whether a workspace is this person's. One that is not here is so only where its secrets are: the engine may
        be another machine's, too, and the workspace there."""
        try:
            return os.stat(workspace).st_uid == os.geteuid()  # noqa: PTH116  # Path.exists hides what went wrong
        except FileNotFoundError:
            return any(self._state.glob(name_folder("*", Path(workspace))))
        except OSError:
            return False

    # ------------------------------------------------------------------------------------------------- a look

    def known(self) -> tuple[Known, ...]:
        return tuple(self._look(path) for path in _children(self._state) if path.name not in GENERAL and path.is_dir())

    def _look(self, folder: Path) -> Known:
        place = read_place(folder)
        found = {name: str(folder / name) for name in (PASSWORD, EARLIER, VOLUMES) if (folder / name).exists()}
        return Known(
            folder=str(folder),
            project=folder.name.rpartition("-")[0],
            workspace=place.path if place else None,
            there=place is not None and is_there(place.path),
            images=_read_images(folder / HISTORY),
            base=_read_base(Path(place.path)) if place else "",
            precious=tuple(path for name, path in found.items() if name != VOLUMES),
            restored=tuple(path for name, path in found.items() if name == VOLUMES),
            opening=tuple(str(path) for path in sorted(folder.glob(f"{SIDECARS}/*/{OPENING}"))),
        )

    def cached(self) -> tuple[Cached, ...]:
        """The entries of each folder of the cache, but for those of what is under way."""
        parts = [path for path in _children(self._cache) if path.is_dir() and path.name not in BUSY]
        found = [entry for part in parts if not part.name.startswith((".", "scratch-")) for entry in _children(part)]
        return tuple(entry for path in found if (entry := _look_at_entry(path)))

    # ---------------------------------------------------------------------------------------------- removal

    def remove(self, name: str) -> None:
        """An entry of the cache, or the state of one workstation. One that is gone already is what was wanted."""
        path = Path(name)
        if not any(folder in path.parents for folder in (self._state, self._cache)) or ".." in path.parts:
            raise HostError("is none of devbox's", where=name, hint="devbox removes only what it keeps itself")
        _remove(path)

    def remove_all(self, kept: tuple[str, ...]) -> None:
        """Both folders, but for the files in `kept`, and what they lie in."""
        for folder in (self._state, self._cache):
            _remove_but(folder, {Path(name) for name in kept})

    def holds(self, folder: str, kept: tuple[str, ...]) -> bool:
        """Whether there is any file in it but those `kept`."""
        return any(str(path) not in kept for path in Path(folder).rglob("*") if not path.is_dir() or path.is_symlink())

    def has_rendered(self, workspace: str) -> bool:
        return os.path.isdir(Path(workspace) / FOLDER)  # noqa: PTH112  # no error where it cannot be seen

    def clear_workspace(self, workspace: str) -> None:
        """What devbox rendered below `.workstation/` goes; what somebody else wrote there stays, and is an error. So is
        another devbox at work there: it may take long."""
        there = Workspace(Path(workspace), on_wait=_refuse_busy)
        with there.lock("uninstall"):
            there.write_tree({})
        for name in OWN:
            _remove(there.folder / name)
        if left := [path.name for path in _children(there.folder)]:
            raise HostError(
                f"{', '.join(left)} was not written by devbox, and stays",
                where=str(there.folder),
                hint="remove it yourself if nobody needs it",
            )
        remove_tree(there.folder)


def _look_at_entry(path: Path) -> Cached | None:
    """None of one that another devbox makes or removes right now."""
    try:
        return Cached(path=str(path), bytes=_size(path), idle_days=int((time.time() - _last_use(path)) // DAY_S))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from error


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.is_symlink()) if folder.is_dir() else []
    except OSError as error:
        raise cannot("read", folder, error) from error


def _refuse_busy(holder: Holder | None) -> None:
    raise HostError(f"{holder or 'another devbox'} works there", hint="run `devbox uninstall` again when it has ended")


def _read_images(path: Path) -> tuple[str, ...]:
    """None of a damaged history: it leads back to nowhere."""
    data = read_plain(path, MAX_HISTORY)
    try:
        history = load_history(data, where=str(path)) if data is not None else None
    except LockError:
        return ()
    generations = (history.current, history.previous) if history else ()
    return tuple(generation.image for generation in generations if generation)


def _read_base(workspace: Path) -> str:
    """The tag of the base of its lock; none of a lock that cannot be read."""
    try:
        told = json.loads(read_plain(workspace / LOCKED, MAX_STATE) or b"null")
        return str(told["base"]["image"])
    except (HostError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _walk(path: Path) -> Iterator[os.stat_result]:
    yield path.lstat()
    if path.is_dir() and not path.is_symlink():
        for child in path.rglob("*"):
            yield child.lstat()


def _size(path: Path) -> int:
    return sum(told.st_blocks * 512 for told in _walk(path))


def _last_use(path: Path) -> float:
    """When it, or a file right in it, was read or written: a tree is told by its `complete.json`. Linux notes a reading
    once a day at least (mount(8), relatime)."""
    told = [path.lstat(), *(child.lstat() for child in path.iterdir())] if path.is_dir() else [path.lstat()]
    return max(max(item.st_mtime, item.st_atime) if not _is_folder(item) else item.st_mtime for item in told)


def _is_folder(told: os.stat_result) -> bool:
    return (told.st_mode & 0o170000) == 0o040000  # whose time of reading says that somebody listed it


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot("remove", path, error) from error


def _remove_but(folder: Path, kept: set[Path]) -> None:
    if not any(folder in path.parents for path in kept):
        _remove(folder)
        return
    for child in list(folder.iterdir()):
        if child not in kept:
            _remove_but(child, kept)
