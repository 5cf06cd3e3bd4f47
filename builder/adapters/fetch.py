"""Wheels and archives, fetched once into a content-addressed cache and unpacked into trees for the build context.

Owns the cache's layout: `wheels/<sha256>/<file>`, `archives/<sha256>.tar`, `trees/<key>/{complete.json,rootfs/}`, and
`tmp/` for what is under way. Everything below its final name is whole and verified. Does not decide what is fetched.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import lzma
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from builder.adapters.files import cannot
from builder.adapters.process import Stopped, never, run_lines
from builder.adapters.scratch import scratch_folder
from builder.adapters.unpack import unpack_tar, unpack_wheel
from builder.adapters.urls import Unreachable, open_url, translated
from builder.errors import HostError, Interrupted
from builder.model import EMPTY, ArchiveSource

if TYPE_CHECKING:
    from builder.model import WheelSource

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0: unknown)

NOT_THE_PINNED: Final = (
    "its source gives out something else than was pinned: look at proxy and mirror, or try a newer devbox"
)
WITHOUT_IT: Final = "leave the tool out with `NAME: false` below `tools` in devbox.yaml"
TREE_FORMAT: Final = 1
CHUNK: Final = 1 << 20
MAX_DOWNLOAD: Final = 512 << 20
MAX_TAR: Final = 1 << 30
DISK_ERRORS: Final = frozenset({errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.ENOTDIR, errno.EROFS})
TIMEOUT_S: Final = 20.0
TAIL: Final = 12
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
LIBCS: Final = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")  # glibc of the oldest base is 2.31


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """An unpacked source: what lies below `root` goes to `/` of the image."""

    root: Path
    files: int
    bytes: int


def silent(done: int, total: int) -> None:
    """The `Progress` of somebody who does not want to know."""


def fetch_tree(
    source: WheelSource | ArchiveSource,
    *,
    arch: str,
    cache: Path,
    on_progress: Progress = silent,
    stopped: Stopped = never,
    pip: Mapping[str, str] = EMPTY,
    ca: bytes | None = None,
) -> Tree:
    """The tree of `source`, cached or made now. Raises Unreachable, HostError (checksum, bad archive), Interrupted."""
    digest = _digest(source, arch)
    final = cache / "trees" / _tree_key(source, digest)
    if (final / "complete.json").is_file():
        return _tree(final)
    if isinstance(source, ArchiveSource):
        tar = fetch_archive(source, cache=cache, on_progress=on_progress, stopped=stopped, ca=ca)
        with temporary(cache) as work:
            counted = unpack_tar(tar, source.unpack, work / "rootfs", strip=source.strip, stopped=stopped)
            return _finish(work, final, digest, counted)
    wheel = fetch_wheel(source, arch=arch, cache=cache, on_progress=on_progress, stopped=stopped, pip=pip)
    with temporary(cache) as work:
        return _finish(work, final, digest, unpack_wheel(wheel, source.unpack, work / "rootfs", stopped=stopped))


def is_cached(source: WheelSource | ArchiveSource, *, arch: str, cache: Path) -> bool:
    """Whether `fetch_tree` would need no network."""
    digest = _digest(source, arch)
    tree = cache / "trees" / _tree_key(source, digest) / "complete.json"
    return tree.is_file() or (cache / "archives" / f"{digest}.tar").is_file() or (cache / "wheels" / digest).is_dir()


def _digest(source: WheelSource | ArchiveSource, arch: str) -> str:
    if isinstance(source, ArchiveSource):
        return source.sha256
    digest = source.sha256.get(arch) or source.sha256.get("any")
    if digest is None:
        known = ", ".join(sorted(source.sha256))
        raise HostError(f"there is no wheel for {arch}, only for {known}", where=source.requirement, hint=WITHOUT_IT)
    return digest


def _tree_key(source: WheelSource | ArchiveSource, digest: str) -> str:
    rules = [[rule.source, rule.target] for rule in source.unpack]
    strip = source.strip if isinstance(source, ArchiveSource) else 0
    told = json.dumps([TREE_FORMAT, digest, strip, rules], separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def _finish(work: Path, final: Path, digest: str, counted: tuple[int, int]) -> Tree:
    files, size = counted
    told = {"format": TREE_FORMAT, "source": digest, "files": files, "bytes": size}
    (work / "complete.json").write_text(json.dumps(told, sort_keys=True), encoding="utf-8")
    publish(work, final)
    return _tree(final)


def _tree(final: Path) -> Tree:
    marker = final / "complete.json"
    try:
        told = json.loads(marker.read_text(encoding="utf-8"))
        return Tree(root=final / "rootfs", files=int(told["files"]), bytes=int(told["bytes"]))
    except (ValueError, KeyError, TypeError) as error:
        raise HostError("the cache is damaged", where=str(marker), hint=f"remove {final} and try again") from error


# ------------------------------------------------------------------------------------------------------ wheels


def fetch_wheel(
    source: WheelSource,
    *,
    arch: str,
    cache: Path,
    on_progress: Progress = silent,
    stopped: Stopped = never,
    pip: Mapping[str, str] = EMPTY,
) -> Path:
    """The wheel's file in the cache, checked by sha256. pip fetches it: it brings the index, mirrors, proxy and CA."""
    digest = _digest(source, arch)
    final = cache / "wheels" / digest
    if final.is_dir():
        wheel = next(final.glob("*.whl"), None)
        if wheel is not None and sha256_of(wheel) == digest:
            return wheel
        shutil.rmtree(final)  # a file of the cache that rotted is fetched again
    with temporary(cache) as work:
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", **pip}
        _pip_download(source, digest, arch, work, on_progress, stopped, environment)
        wheel = next(work.glob("*.whl"), None)
        if wheel is None or sha256_of(wheel) != digest:
            raise HostError(
                "pip fetched something else than the pinned file", where=source.requirement, hint=NOT_THE_PINNED
            )
        (work / "requirements.txt").unlink()
        publish(work, final)
    return final / wheel.name


def _pip_download(
    source: WheelSource,
    digest: str,
    arch: str,
    work: Path,
    on_progress: Progress,
    stopped: Stopped,
    environment: Mapping[str, str],
) -> None:
    requirements = work / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{digest}\n", encoding="utf-8")
    machine = MACHINES.get(arch)
    if machine is None:
        raise HostError(f"no wheels for the architecture {arch}", where=source.requirement, hint=WITHOUT_IT)
    platforms = [f"--platform={libc}_{machine}" for libc in LIBCS]
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    argv += [*platforms, "--no-cache-dir", "--retries=2", f"--progress-bar={_bar()}"]
    argv += [f"--dest={work}", f"--requirement={requirements}"]
    tail: list[str] = []

    def hear(line: str) -> None:
        words = line.split()
        if len(words) == 4 and words[0] == "Progress" and words[2] == "of":
            on_progress(int(words[1]), int(words[3]))
        elif line:
            tail.append(line)

    if run_lines(argv, on_line=hear, env=environment, stopped=stopped) != 0:
        raise _pip_error(source.requirement, tail)


def _bar() -> str:
    """`raw` prints bytes done and to do; pip has it since 24.1."""
    try:
        major, minor = metadata.version("pip").split(".")[:2]
    except metadata.PackageNotFoundError as error:
        hint = f"{sys.executable} -m ensurepip, or the package python3-pip"
        raise HostError("pip is not there for this Python", where=sys.executable, hint=hint) from error
    return "raw" if (int(major), int(minor)) >= (24, 1) else "off"


def _pip_error(requirement: str, lines: list[str]) -> HostError:
    text = "\n".join(lines)
    detail = "\n".join(line for line in lines if not line.startswith("WARNING: Location"))[-4000:]
    if "DO NOT MATCH THE HASHES" in text:
        return HostError(
            "the package index offers another file than the pinned one",
            where=requirement,
            detail=detail,
            hint=NOT_THE_PINNED,
        )
    if "No space left" in text:
        return HostError("the disk is full", where=requirement, detail=detail, hint="free some space")
    hint = "pip's own settings (index, proxy, certificate) are used; does `pip download` work here?"
    return Unreachable("pip cannot fetch this wheel", where=requirement, detail=detail, hint=hint)


# ---------------------------------------------------------------------------------------------------- archives


def can_fetch(source: ArchiveSource, *, cache: Path) -> str | None:
    """None when the archive is cached or its source answers within a few seconds, else why not, in words."""
    if (cache / "archives" / f"{source.sha256}.tar").is_file():
        return None
    try:
        if not _is_url(source.location):
            return None if Path(source.location).is_file() else "no such file"
        with open_url(source.location, timeout_s=4.0, head=True):
            return None
    except HostError as error:
        return error.message


def fetch_archive(
    source: ArchiveSource,
    *,
    cache: Path,
    on_progress: Progress = silent,
    stopped: Stopped = never,
    ca: bytes | None = None,
) -> Path:
    """The uncompressed tar in the cache. A location is an https URL (http on loopback) or a path; gz, xz or plain."""
    final = cache / "archives" / f"{source.sha256}.tar"
    if final.is_file() and sha256_of(final) == source.sha256:
        return final
    with temporary(cache) as work:
        packed, tar = work / "packed", work / "tar"
        with _open_location(source.location, ca) as (stream, size):
            _download(stream, size, packed, source.location, on_progress, stopped)
        found = _decompress(packed, tar, source.location, stopped)
        if found != source.sha256:
            raise HostError(
                f"sha256 is {found}, not {source.sha256} as pinned", where=source.location, hint=NOT_THE_PINNED
            )
        final.parent.mkdir(parents=True, exist_ok=True)
        tar.replace(final)
    return final


def _is_url(location: str) -> bool:
    return "://" in location


@contextmanager
def _open_location(location: str, ca: bytes | None) -> Iterator[tuple[IO[bytes], int]]:
    if _is_url(location):
        with open_url(location, timeout_s=TIMEOUT_S, ca=ca) as answer:
            yield answer.stream, answer.size
        return
    path = Path(location).expanduser()
    if not path.is_file():
        raise Unreachable("no such file", where=location)
    with path.open("rb") as stream:
        yield stream, path.stat().st_size


def _download(
    stream: IO[bytes], size: int, target: Path, location: str, on_progress: Progress, stopped: Stopped
) -> None:
    done = 0
    with translated(location), target.open("wb") as sink:
        while chunk := stream.read(CHUNK >> 2):
            done += len(chunk)
            if done > MAX_DOWNLOAD:
                raise HostError(f"is larger than {MAX_DOWNLOAD} bytes", where=location, hint=NOT_THE_PINNED)
            if stopped():
                raise Interrupted("stopped on request")
            sink.write(chunk)
            on_progress(done, size)
    if size and done != size:
        raise Unreachable(f"ended after {done} of {size} bytes", where=location)


def _decompress(packed: Path, target: Path, location: str, stopped: Stopped) -> str:
    """Write the plain tar and return its sha256; the limit is on what comes out, so that no small file fills a disk."""
    checksum = hashlib.sha256()
    done = 0
    try:
        with _open_packed(packed) as stream, target.open("wb") as sink:
            while chunk := stream.read(CHUNK):
                done += len(chunk)
                if done > MAX_TAR:
                    raise HostError(f"unpacks to more than {MAX_TAR} bytes", where=location, hint=NOT_THE_PINNED)
                if stopped():
                    raise Interrupted("stopped on request")
                checksum.update(chunk)
                sink.write(chunk)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise HostError(f"cannot be decompressed: {error}", where=location, hint=NOT_THE_PINNED) from error
    return checksum.hexdigest()


def _open_packed(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if magic == b"\xfd7zXZ\x00":
        return cast("IO[bytes]", lzma.open(path, "rb"))
    return path.open("rb")


# ------------------------------------------------------------------------------------------------------- cache


@contextmanager
def temporary(cache: Path) -> Iterator[Path]:
    """A folder on the cache's own file system, gone at the end unless it was published. Raises HostError where the disk
    takes no more."""
    try:
        with scratch_folder(cache / "tmp") as work:
            yield work
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise cannot("write", Path(error.filename or cache), error) from error


def publish(work: Path, final: Path) -> None:
    """Give a finished folder its name. Who comes second finds the same content there and keeps it."""
    final.parent.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    try:
        work.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def sha256_of(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            checksum.update(chunk)
    return checksum.hexdigest()
