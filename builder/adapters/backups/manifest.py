"""What is in a folder, file by file: taken before a backup, and once more of what was restored.

Runs inside the helper container, on the Python of its base (3.9 or newer). Owns the scan and the form of a manifest:
JSON lines in gzip, a head and then one list a file. Must not know restic.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, Optional

FORM = 1
CHUNK = 1 << 20
MOVED = -1  # in place of a ctime: the file changed while it was read
LABELS = "security.selinux"  # of the machine, not of the file
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class Entry(NamedTuple):
    """One file. What is no UTF-8 in its name is a lone surrogate, as Python has it."""

    path: str  # below the folder; "" is the folder itself
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int  # nanoseconds
    ctime: int
    size: int = 0
    sha256: str = ""
    target: str = ""  # of a symbolic link
    twin: str = ""  # the same text: the same file (hard links)
    xattrs: Mapping[str, str] = {}
    sparse: bool = False


def scan(root: str, exclude: Sequence[str] = ()) -> Iterator[Entry]:
    """Everything below `root` in the order of its names, but for sockets, which nobody listens on afterwards. What
    vanishes meanwhile is left out."""
    patterns = [pattern.split("/") for pattern in exclude]
    pending = [""]
    while pending:
        path = pending.pop()
        try:
            entry = _look(os.path.join(root, path) if path else root, path)
            if entry is None:
                continue
        except FileNotFoundError:
            continue
        yield entry
        names = _list(os.path.join(root, path)) if entry.kind == "folder" else ()
        inner = (f"{path}/{name}" if path else name for name in sorted(names, reverse=True))
        pending += [path for path in inner if not is_excluded(path, patterns)]


def is_text(name: str) -> bool:
    """Whether a name is UTF-8: what is none of it is a lone surrogate."""
    return not any(0xD800 <= ord(sign) <= 0xDFFF for sign in name)


def _list(folder: str) -> Sequence[str]:
    """Nothing for one that is gone, or that cannot be read: restic meets that as well, and names it."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, PermissionError):
        return ()


def is_excluded(path: str, patterns: Sequence[Sequence[str]]) -> bool:
    """As restic has it: a pattern without a slash at its start fits at any depth, part by part."""
    parts = path.split("/")
    return any(
        len(pattern) <= len(parts) and all(map(fnmatchcase, parts[-len(pattern) :], pattern)) for pattern in patterns
    )


def _look(whole: str, path: str) -> Optional[Entry]:  # noqa: UP045  # NamedTuple and Python 3.9
    told = os.lstat(whole)
    kind = KINDS.get(stat.S_IFMT(told.st_mode))
    if kind is None:
        return None
    entry = Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(told.st_mode),
        uid=told.st_uid,
        gid=told.st_gid,
        mtime=told.st_mtime_ns,
        ctime=told.st_ctime_ns,
        target=os.readlink(whole) if kind == "link" else "",
        twin=f"{told.st_dev}:{told.st_ino}" if kind != "folder" and told.st_nlink > 1 else "",
        xattrs=_read_xattrs(whole),
    )
    return _with_content(whole, entry, told) if kind == "file" else entry


def _with_content(whole: str, entry: Entry, told: os.stat_result) -> Entry:
    digest = hashlib.sha256()
    try:
        with open(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
            after = os.fstat(file.fileno())
    except PermissionError:  # restic meets it as well, and names it
        return entry._replace(size=told.st_size, ctime=MOVED)
    still = (after.st_ctime_ns, after.st_size) == (told.st_ctime_ns, told.st_size)
    return entry._replace(
        size=told.st_size,
        sha256=digest.hexdigest(),
        sparse=told.st_blocks * 512 < told.st_size,
        ctime=entry.ctime if still else MOVED,
    )


def _read_xattrs(whole: str) -> Mapping[str, str]:
    found = {}
    try:
        for name in sorted(os.listxattr(whole, follow_symlinks=False)):
            if name != LABELS:
                found[name] = base64.b64encode(os.getxattr(whole, name, follow_symlinks=False)).decode()
    except (FileNotFoundError, PermissionError):
        return found
    return found


# ------------------------------------------------------------------------------------------------------ its form


def write_manifest(file: str, volumes: Mapping[str, Iterable[Entry]]) -> Mapping[str, int]:
    """Write what is in each volume; how many files and bytes there are in all. Twice the same input, twice the same
    bytes."""
    count = size = 0
    with open(file, "wb") as raw, gzip.GzipFile("", fileobj=raw, mode="wb", compresslevel=3, mtime=0) as sink:
        sink.write(_line({"form": FORM, "volumes": list(volumes)}))
        for volume, entries in volumes.items():
            for entry in entries:
                sink.write(_line([volume, *entry]))
                count += 1
                size += entry.size
    return {"files": count, "bytes": size}


def read_manifest(file: str) -> Mapping[str, Sequence[Entry]]:
    """Volume -> its files. Raises ValueError for what is no manifest, or one of a newer devbox."""
    with gzip.open(file, "rb") as source:
        head = json.loads(source.readline())
        if head.get("form") != FORM:
            raise ValueError(f"its form is {head.get('form')}, this devbox knows {FORM}")
        found: dict[str, list[Entry]] = {volume: [] for volume in head["volumes"]}
        for line in source:
            volume, *rest = json.loads(line)
            found[volume].append(Entry(*rest))
    return found


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"  # ASCII: a lone surrogate is an escape
