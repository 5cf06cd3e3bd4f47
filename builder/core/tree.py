"""A tree of files as a tar, byte for byte the same for the same content: order, owner, modes and times are fixed.

Pure: it makes headers and checks names; reading the files is `adapters.buildcontext`. GNU format and whole seconds,
because BuildKit looks at the first 1,024 bytes to tell an archive from a Dockerfile: a PAX header, or a long name,
there pushes the first real header out of sight. So `Dockerfile` comes first.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from posixpath import dirname, join, normpath
from typing import Final

from builder.errors import RenderError

BLOCK: Final = 512
MTIME: Final = 1_577_836_800  # 2020-01-01: not 0, which some tools take for "unknown"
END: Final = bytes(2 * BLOCK)


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of the archive. `path` is relative, with forward slashes."""

    path: str
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str = ""  # of a link


def make_header(entry: Entry) -> bytes:
    """The header blocks of one member."""
    info = tarfile.TarInfo(entry.path)
    info.mtime = MTIME
    match entry.kind:
        case Kind.FILE:
            info.size, info.mode = entry.size, 0o755 if entry.executable else 0o644
        case Kind.FOLDER:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        case Kind.LINK:
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def make_padding(size: int) -> bytes:
    """What fills the last block of a file of `size` bytes."""
    return bytes(-size % BLOCK)


def sort_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in the order of the archive, with every folder above them added. Raises RenderError for a bad name."""
    members: dict[str, Entry] = {}
    for entry in entries:
        check_path(entry.path)
        _add(members, entry)
        folder = dirname(entry.path)
        while folder:
            _add(members, Entry(path=folder, kind=Kind.FOLDER))
            folder = dirname(folder)
    return sorted(members.values(), key=lambda entry: (entry.path != "Dockerfile", entry.path))


def _add(members: dict[str, Entry], entry: Entry) -> None:
    other = members.setdefault(entry.path, entry)
    if other != entry:
        raise RenderError("two sources of the build context have this path", where=entry.path)


def check_path(path: str) -> None:
    """Raises RenderError unless `path` is relative, normal, and stays below the root of the archive."""
    if not path or path.startswith(("/", "../")) or path in (".", "..") or normpath(path) != path:
        raise RenderError("this is no relative path below the build context", where=path)


def stays_inside(path: str, target: str) -> bool:
    """Whether a link at `path` leads to somewhere below the root of its tree; an absolute target counts from there."""
    leads_to = normpath(target.lstrip("/") if target.startswith("/") else join(dirname(path), target))
    return leads_to != ".." and not leads_to.startswith("../")
