"""The build context as a stream of tar bytes: rendered files from memory, fetched trees from the disk.

Owns the reading; the archive's form is `core.tree`. Nothing is held in memory but one chunk, so that a context of
hundreds of megabytes costs none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.files import cannot
from builder.core.tree import END, Entry, Kind, make_header, make_padding, sort_entries, stays_inside
from builder.errors import HostError

if TYPE_CHECKING:
    from builder.model import RenderedTree

CHUNK: Final = 1 << 18


def read_context(tree: RenderedTree, folders: Mapping[str, Path]) -> Iterator[bytes]:
    """Yield the tar of `tree` plus the content of each folder below its prefix, in chunks of about 256 KiB.

    The names are checked when this is called, the files are read as the chunks are asked for. Raises HostError for
    what cannot be read or has no place in an image (devices, sockets, links that lead out of their folder).
    """
    entries = [
        Entry(path=path, kind=Kind.FILE, size=len(file.data), executable=file.executable) for path, file in tree.items()
    ]
    sources: dict[str, Path] = {}
    for prefix, folder in sorted(folders.items()):
        for entry, path in _walk(folder, prefix):
            entries.append(entry)
            sources[entry.path] = path
    return _coalesce(_members(sort_entries(entries), tree, sources))


def _members(entries: list[Entry], tree: RenderedTree, sources: Mapping[str, Path]) -> Iterator[bytes]:
    for entry in entries:
        yield make_header(entry)
        if entry.kind is Kind.FILE:
            if entry.path in sources:
                yield from _read_file(sources[entry.path], entry.size)
            else:
                yield tree[entry.path].data
            yield make_padding(entry.size)
    yield END


def _walk(folder: Path, prefix: str) -> Iterator[tuple[Entry, Path]]:
    """Entries of everything below `folder`, and where each one lies."""
    yield Entry(path=prefix, kind=Kind.FOLDER), folder
    pending = [folder]
    while pending:
        try:
            items = list(os.scandir(pending.pop()))
        except OSError as error:
            raise cannot("read", Path(error.filename or folder), error) from error
        for item in items:
            path = Path(item.path)
            entry = _entry(path, item.stat(follow_symlinks=False), path.relative_to(folder).as_posix(), prefix)
            if entry.kind is Kind.FOLDER:
                pending.append(path)
            yield entry, path


def _entry(path: Path, status: os.stat_result, inside: str, prefix: str) -> Entry:
    name = f"{prefix}/{inside}"
    if stat.S_ISDIR(status.st_mode):
        return Entry(path=name, kind=Kind.FOLDER)
    if stat.S_ISREG(status.st_mode):
        return Entry(path=name, kind=Kind.FILE, size=status.st_size, executable=bool(status.st_mode & 0o100))
    if not stat.S_ISLNK(status.st_mode):
        raise HostError("only files, folders and links can go into an image", where=str(path), hint="move it away")
    target = str(path.readlink())
    if not stays_inside(inside, target):
        raise HostError(
            f"this link leads out of its folder, to {target}", where=str(path), hint="put a copy in its place"
        )
    return Entry(path=name, kind=Kind.LINK, target=target)


def _read_file(path: Path, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes: the header that promised them is on its way already."""
    left = size
    try:
        with path.open("rb") as file:
            while left and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
            changed = left > 0 or bool(file.read(1))
    except OSError as error:
        raise cannot("read", path, error) from error
    if changed:
        raise HostError("this file changed while it was read", where=str(path), hint="run the command again")


def _coalesce(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Few large writes in place of thousands of small ones."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= CHUNK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)
