"""Which workspace a folder of secrets is of, and how it goes along when that one is moved.

Owns `place.json` in each of them: the path of its workspace, and a token that stands in `.workstation/state.json`, too.
A path alone proves nothing, since anybody's repository may bring a `.workstation/` along; nobody can guess the token.
Where a folder was before, a link leads to it: the container of then still names that path.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.errors import HostError

FILE: Final = "place.json"
MAX_FILE: Final = 1 << 16
# Made once and worth something; all else in such a folder can be made again.
KEPT: Final = ("backup-password", "backup-password.before", "volumes.json", "history.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    path: str
    token: str


def name_folder(project: str, workspace: Path) -> str:
    """The path's hash keeps two workspaces of the same name apart."""
    return f"{project}-{hashlib.sha256(os.fsencode(workspace)).hexdigest()[:8]}"


def read_place(folder: Path) -> Place | None:
    """None where it is not known, or what stands there is damaged: then nothing is taken for proved."""
    try:
        told = json.loads(read_plain(folder / FILE, MAX_FILE) or b"null")
        path, token = told["path"], told["token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Place(path=path, token=token) if isinstance(path, str) and isinstance(token, str) else None


def write_place(folder: Path, place: Place) -> None:
    if read_place(folder) != place:
        told = json.dumps({"path": place.path, "token": place.token}) + "\n"
        write_atomic(folder / FILE, told.encode(), mode=0o600)


def find_places(among: Iterator[Path], token: str) -> tuple[str, ...]:
    """Paths of the workspaces that have this token."""
    places = (read_place(folder) for folder in among if not folder.is_symlink())
    return tuple(sorted({place.path for place in places if place is not None and place.token == token}))


def move_folder(old: Path, new: Path, path: str) -> None:
    """Let `old` be `new`, of the workspace at `path`, with a link where it was. Cut off anywhere, it can be done again.

    Raises HostError where both hold something that cannot be made again.
    """
    try:
        if new.is_symlink():
            if new.resolve() != old.resolve():
                refuse_moved(new)
            new.unlink()  # it is moved back to where it was once
        if old.is_dir() and not old.is_symlink():
            if new.exists():
                _merge(old, new)
            else:
                old.rename(new)
        if not old.exists():
            old.unlink(missing_ok=True)  # a link to where nothing is any more
            old.symlink_to(new.name)
    except OSError as error:
        raise cannot("move", old, error) from error
    place = read_place(new)
    if place is not None:
        write_place(new, Place(path=path, token=place.token))


def forget_place(folder: Path) -> None:
    """Of a workstation that is gone with its data: nothing names the links any more that lead to `folder` from where it
    was before. The place stays with what cannot be made again."""
    if not any((folder / name).exists() for name in KEPT):
        (folder / FILE).unlink(missing_ok=True)
    links = [path for path in folder.parent.glob("*") if path.is_symlink() and path.resolve() == folder.resolve()]
    for link in links:  # found before one is removed: they may lead over each other
        link.unlink()


def refuse_moved(folder: Path) -> None:
    """Raises HostError where the folder went along with the workspace that was here: what is here now is another."""
    if folder.is_symlink() and (place := read_place(folder)):
        hint = f"choose another name with `name:` in devbox.yaml, or run `devbox down --volumes` in {place.path}"
        raise HostError(f"the secrets of this path went along to {place.path}", where=str(folder), hint=hint)


def _merge(old: Path, new: Path) -> None:
    """What `new` has not comes from `old`, which goes then. Passwords and keys that `new` has are in use by now."""
    for name in KEPT:
        ours, theirs = new / name, old / name
        if ours.exists() and theirs.exists() and ours.read_bytes() != theirs.read_bytes():
            hint = f"keep one: remove {name} in {new}, or in {old}; `devbox` goes on then"
            raise HostError(f"there are two of {name} for this workstation", where=str(new), hint=hint)
    for source in sorted(path for path in old.rglob("*") if path.is_file() and not path.is_symlink()):
        target = new / source.relative_to(old)
        if not target.exists():
            make_folder(target.parent, mode=0o700)
            source.rename(target)
    shutil.rmtree(old)
