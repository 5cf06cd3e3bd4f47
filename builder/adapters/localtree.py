"""Files of this machine as a stream of tar, and such a stream as files: for `devbox cp`.

What comes out of a workstation is trusted with nothing: no member leaves the folder that it goes to, none is written
through a link, what is there is replaced and not followed. Owner and group are left behind in both directions.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from builder.adapters.files import cannot
from builder.adapters.tarstream import CHUNK, END, ChunkFile, write_body, write_head
from builder.core.copying import Kind, Landing, Look
from builder.errors import HostError

AGAIN: Final = "run the same command again"


def look_at(path: Path, *, measured: bool = False) -> Look:
    """What is there; `measured`, with the bytes of all files in it. A link is what it leads to. Raises HostError."""
    try:
        kind, size = _kind(path), 0
        if measured and kind is not Kind.MISSING:
            size = sum(_sizes(path)) if kind is Kind.FOLDER else path.stat().st_size
        return Look(kind=kind, parent=_kind(path.parent), size=size)
    except OSError as error:
        raise cannot("read", path, error) from error


def _kind(path: Path) -> Kind:
    return Kind.FOLDER if path.is_dir() else Kind.FILE if path.exists() else Kind.MISSING


def _sizes(folder: Path) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry.stat().st_size


# ------------------------------------------------------------------------------------------------------------- out


def pack_tree(path: Path, name: str) -> Iterator[bytes]:
    """The tar of `path`, called `name` in it; of the contents of a folder where that is empty. Links in it are kept,
    one that is `path` itself is followed. Sockets and devices stay behind. Raises HostError for what cannot be read."""
    with tarfile.open(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT) as tar:  # only describes
        for item, inside in _walk(path.resolve(), PurePosixPath(name)):
            try:
                info = tar.gettarinfo(item, str(inside))
                if info is None or not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                    continue
                info.uid = info.gid = 0
                info.uname = info.gname = ""
                info.mtime = int(info.mtime)  # a fraction would take a header of its own
                yield write_head(info)
                if info.isreg():
                    with item.open("rb") as source:
                        yield from write_body(source, info.size)
            except OSError as error:
                raise cannot("read", item, error) from error
            except EOFError as error:
                raise HostError("this became shorter while it was copied", where=str(item), hint=AGAIN) from error
    yield END


def _walk(path: Path, name: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
    """Itself, and what is below it by name; each with its path in the tar."""
    yield path, name
    if path.is_dir() and not path.is_symlink():
        try:
            below = sorted(path.iterdir())
        except OSError as error:
            raise cannot("read", path, error) from error
        for item in below:
            yield from _walk(item, name / item.name)


# -------------------------------------------------------------------------------------------------------------- in


def unpack_tree(chunks: Iterator[bytes], landing: Landing, *, contents: bool) -> None:
    """Lay a tar where it lands. It holds one thing, whose name is not kept, or the `contents` of a folder. Raises
    HostError, also for a tar that was cut off or would leave its place."""
    top = Path(landing.folder).resolve() / landing.name  # a link of that name is not followed
    links: list[tuple[Path, str]] = []
    checked: set[Path] = set()  # folders; none of them is replaced until the links come
    try:
        with tarfile.open(fileobj=ChunkFile(chunks), mode="r|", bufsize=CHUNK) as tar:
            for member in tar:
                path = _place(top, member.name, contents=contents)
                if member.issym():
                    links.append((path, member.linkname))
                    continue
                _refuse_behind_link(top, path, checked)
                if member.islnk():
                    there = _place(top, member.linkname, contents=contents)
                    _refuse_behind_link(top, there, checked)
                    _link(there, path)
                else:
                    _lay(tar, member, path)
        for path, target in links:  # last, so that nothing is written through one; nor is another of them
            _refuse_behind_link(top, path, set())
            with _writing(path):
                _clear(path)
                path.symlink_to(target)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:  # or a name or a time that is none
        raise HostError(f"what came is no whole tar: {error}", where=landing.folder, hint=AGAIN) from error


def _place(top: Path, member: str, *, contents: bool) -> Path:
    """Where a member goes. The first part of its path may be the name that the thing had over there."""
    parts = PurePosixPath(member).parts
    if member.startswith("/") or ".." in parts:
        raise HostError(f"{member!r} would leave the folder that it is to go to", where=str(top), hint=_INSIDE)
    return top.joinpath(*(parts if contents else parts[1:]))


def _refuse_behind_link(top: Path, path: Path, checked: set[Path]) -> None:
    if path == top or path.parent in checked:
        return
    if not path.parent.resolve().is_relative_to(top):
        raise HostError("this lies behind a link that leads elsewhere", where=str(path), hint=_LINK)
    checked.add(path.parent)


_INSIDE: Final = "somebody made that tar by hand: `devbox cp :PATH - | tar -t` lists it"
_LINK: Final = "remove that link, or name the folder that it leads to as the target"


def _link(there: Path, path: Path) -> None:
    with _writing(path):
        _clear(path)
        os.link(there, path, follow_symlinks=False)


def _lay(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """One folder or file; a pipe or a device is of the other machine alone."""
    with _writing(path):
        if member.isdir() and not path.is_dir():  # a link to one stays, as with `cp`: see `_place`
            path.mkdir(0o700)
            path.chmod(member.mode & 0o777 | 0o700)
        source = tar.extractfile(member) if member.isreg() else None
        if source is None:
            return
        _clear(path)
        with open(path, "xb", opener=_open_for_owner) as sink:  # nobody else reads a key until it has its own mode
            shutil.copyfileobj(source, sink, CHUNK)
        path.chmod(member.mode & 0o777)
        os.utime(path, (member.mtime, member.mtime))


def _open_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _clear(path: Path) -> None:
    """What is there, unless it is a folder: that is never replaced by a file."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot("write", path, error) from error
