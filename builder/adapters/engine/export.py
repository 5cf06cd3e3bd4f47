"""The files of an image, one after the other, by way of a container that is never started.

Owns that container and the tar stream of its export. Must not know what the files mean, and holds none of them longer
than it takes to hash it.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from re import Pattern
from typing import Final

from builder.adapters.engine.connection import Connection
from builder.adapters.living import is_gone, this_process
from builder.core.labels import LABEL_EXPORT
from builder.errors import EngineError
from builder.model import ImageFile

CHUNK: Final = 1 << 20
LONGEST_MATCH: Final = 256  # bytes of a pattern that may lie across two chunks
Wanted = Callable[[str], bool | Pattern[bytes]]
# The engine puts these into every container, whatever the image has there.
ENGINES_OWN: Final = frozenset(
    {".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}
)


class ExportVerbs(Connection):
    def read_files(self, image: str, wanted: Wanted) -> Iterator[ImageFile]:
        """Every regular file and symbolic link of `image`, in the order of its tar. Of a path for which `wanted` says
        True all bytes come along, and the first match where it gives a pattern. A hard link comes as the file that it
        is one with, without a size."""
        doing = f"cannot read the files of {image}"
        with self.asking(doing), self._container(image) as container:
            chunks = iter(self._api.export(container, chunk_size=CHUNK))
            try:
                with tarfile.open(fileobj=_Answer(chunks), mode="r|", bufsize=CHUNK) as tar:
                    yield from _read_tar(tar, wanted)
            except tarfile.TarError as error:
                raise EngineError(
                    f"{doing}: the engine's answer broke off ({error})",
                    where=self.host.url,
                    hint="the engine may have been restarted: run the same command again",
                ) from error

    @contextmanager
    def _container(self, image: str) -> Iterator[str]:
        self._remove_stale()
        made = self._api.create_container(image, command=["true"], labels={LABEL_EXPORT: this_process()})
        try:
            yield str(made["Id"])
        finally:
            self._api.remove_container(made["Id"], v=True, force=True)

    def _remove_stale(self) -> None:
        """What was left by one that was killed: it would keep its image from being removed."""
        for found in self._api.containers(all=True, filters={"label": [LABEL_EXPORT]}):
            if is_gone(found["Labels"][LABEL_EXPORT]):
                self._api.remove_container(found["Id"], v=True, force=True)


class _Answer(io.RawIOBase):
    """The chunks of an answer as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._left = self._left or memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _read_tar(tar: tarfile.TarFile, wanted: Wanted) -> Iterator[ImageFile]:
    seen: dict[str, ImageFile] = {}
    for member in tar:
        path = member.name.removeprefix("./")
        if path in ENGINES_OWN:
            continue
        if member.issym():
            yield ImageFile(path=path, link=member.linkname)
        elif member.islnk() and (target := seen.get(member.linkname.removeprefix("./"))):
            yield replace(target, path=path, size=0)
        elif member.isfile():
            file = _read_file(tar, member, path, wanted(path))
            seen[path] = replace(file, data=b"")
            yield file


def _read_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, wanted: bool | Pattern[bytes]) -> ImageFile:
    source = tar.extractfile(member)
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    kept, last = bytearray(), b""
    while source is not None and (chunk := source.read(CHUNK)):
        sha1.update(chunk)
        sha256.update(chunk)
        if wanted is True:
            kept += chunk
        elif wanted and not kept:
            match = wanted.search(last + chunk)
            kept += match[0] if match else b""
            last = chunk[-LONGEST_MATCH:]
    return ImageFile(path=path, size=member.size, sha1=sha1.hexdigest(), sha256=sha256.hexdigest(), data=bytes(kept))
