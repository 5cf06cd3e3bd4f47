"""Unpack chosen parts of a wheel or tar into a folder, trusting nothing in the archive.

Owns the limits (size, count, names, links). Does not fetch, and does not know where the archive came from. Files come
out as 0755 or 0644 and symlinks only where they stay inside; everything else an archive can hold is refused.
"""

from __future__ import annotations

import posixpath
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from builder.adapters.process import Stopped, never
from builder.errors import HostError, Interrupted

if TYPE_CHECKING:
    from builder.model import UnpackRule

BAD: Final = "it is not what it should be: choose another version, or leave the tool out (`tools` in devbox.yaml)"
MAX_BYTES: Final = 1 << 30
MAX_MEMBERS: Final = 50_000
MAX_NAME: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file or symlink of an archive, whatever its format. `link` is a symlink's text, "" for a file."""

    name: str
    size: int
    executable: bool
    link: str
    open: Callable[[], IO[bytes]]


def unpack_wheel(
    wheel: Path, rules: tuple[UnpackRule, ...], root: Path, *, stopped: Stopped = never
) -> tuple[int, int]:
    """Unpack by `rules` below `root` (which is the image's `/`); returns (files, bytes). Raises HostError."""
    with _readable(wheel), zipfile.ZipFile(wheel) as archive:
        return _unpack(_zip_members(wheel, archive), rules, root, wheel.name, stopped)


def unpack_tar(
    tar: Path, rules: tuple[UnpackRule, ...], root: Path, *, strip: int = 0, stopped: Stopped = never
) -> tuple[int, int]:
    """The same for an uncompressed tar whose first `strip` path parts are dropped."""
    with _readable(tar), tarfile.open(tar, mode="r:") as archive:
        return _unpack(_tar_members(tar, archive, strip), rules, root, tar.name, stopped)


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise HostError(f"cannot be unpacked: {error}", where=archive.name, hint=BAD) from error


# ----------------------------------------------------------------------------------------------------- formats


def _zip_members(wheel: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            continue
        if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
            raise _refused(wheel.name, info.filename, "is not a plain file")
        yield Member(
            name=_safe(wheel.name, info.filename),
            size=info.file_size,
            executable=bool(mode & 0o100),
            link="",
            open=lambda info=info: archive.open(info),  # type: ignore[misc]
        )


def _tar_members(tar: Path, archive: tarfile.TarFile, strip: int) -> Iterator[Member]:
    for info in archive:
        if info.isdir():
            continue
        if not (info.isreg() or info.issym()):
            raise _refused(tar.name, info.name, "is neither a file nor a symlink")
        name = "/".join(_safe(tar.name, info.name).split("/")[strip:])
        if name:
            yield Member(
                name=name,
                size=info.size if info.isreg() else 0,
                executable=bool(info.mode & 0o100),
                link=info.linkname if info.issym() else "",
                open=lambda info=info: _tar_file(archive, info),  # type: ignore[misc]
            )


def _tar_file(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(info)
    if stream is None:
        raise HostError("is not a file", where=info.name, hint=BAD)
    return stream


def _safe(archive: str, name: str) -> str:
    """The name without a leading `./`; refused when it could lead out of the folder or hide something."""
    name = name.removeprefix("./")
    bad = any(part in {"", ".", ".."} for part in name.split("/"))
    if bad or "\\" in name or len(name) > MAX_NAME or not name.isprintable():
        raise _refused(archive, name, "has an unsafe name")
    return name


def _refused(archive: str, name: str, why: str) -> HostError:
    return HostError(f"{name[:200]!r} {why}; nothing was unpacked", where=archive, hint=BAD)


# --------------------------------------------------------------------------------------------------- unpacking


def _unpack(
    members: Iterable[Member], rules: tuple[UnpackRule, ...], root: Path, archive: str, stopped: Stopped
) -> tuple[int, int]:
    files = total = 0
    used: set[UnpackRule] = set()
    links: list[tuple[str, str]] = []
    for member in members:
        if stopped():
            raise Interrupted("stopped on request")
        files, total = files + 1, total + member.size
        if files > MAX_MEMBERS or total > MAX_BYTES:
            raise HostError(f"holds more than {MAX_MEMBERS} files or {MAX_BYTES} bytes", where=archive, hint=BAD)
        for rule, target in _targets(member.name, rules):
            used.add(rule)
            if member.link:
                links.append((target, _safe_link(archive, member, rule, target)))
            else:
                _write_file(member, root, target, archive)
    for target, link in links:  # last, so that no file is ever written through one
        _write_link(root, target, link, archive)
    _check_used(rules, used, archive)
    return _count(root)


def _targets(name: str, rules: tuple[UnpackRule, ...]) -> Iterator[tuple[UnpackRule, str]]:
    for rule in rules:
        source, target = rule.source.strip("/"), rule.target.strip("/")
        if name == source:
            yield rule, target
        elif not source:
            yield rule, f"{target}/{name}"
        elif name.startswith(f"{source}/"):
            yield rule, f"{target}/{name[len(source) + 1 :]}"


def _write_file(member: Member, root: Path, target: str, archive: str) -> None:
    path = root / target
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, path.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            written = sink.tell()
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise HostError(f"two files claim /{target}", where=archive, hint=BAD) from error
    if written != member.size:
        raise HostError(
            f"{member.name} is {written} bytes long, not {member.size} as announced", where=archive, hint=BAD
        )
    path.chmod(0o755 if member.executable else 0o644)


def _safe_link(archive: str, member: Member, rule: UnpackRule, target: str) -> str:
    """The link's text, when it is relative and stays below the rule's target."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(target), member.link))
    top = rule.target.strip("/")
    if member.link.startswith("/") or not (end == top or end.startswith(f"{top}/")):
        raise _refused(archive, member.name, f"links out, to {member.link[:200]!r}")
    return member.link


def _write_link(root: Path, target: str, link: str, archive: str) -> None:
    path = root / target
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(root.resolve()):
            raise HostError(f"/{target} would lie behind a link", where=archive, hint=BAD)
        path.symlink_to(link)
    except (FileExistsError, NotADirectoryError) as error:
        raise HostError(f"two files claim /{target}", where=archive, hint=BAD) from error


def _check_used(rules: tuple[UnpackRule, ...], used: set[UnpackRule], archive: str) -> None:
    for rule in rules:
        if rule not in used:
            raise HostError(f"holds no {rule.source or 'file at all'}", where=archive, hint=BAD)


def _count(root: Path) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return len(sizes), sum(sizes)
