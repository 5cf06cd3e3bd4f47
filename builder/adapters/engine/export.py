"""The files of an image: all together, by way of a container that is never started, or layer by layer.

Owns that container and both streams of tar. Must not know what the files mean, and holds none of them longer than it
takes to hash it.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from re import Pattern
from typing import TYPE_CHECKING, Final

from builder.adapters.engine.connection import Connection, reason
from builder.adapters.engine.failures import answer_error
from builder.adapters.living import is_gone, this_process
from builder.adapters.savedimage import DamagedImage, read_saved
from builder.adapters.tarstream import CHUNK, ChunkFile
from builder.core.labels import LABEL_EXPORT
from builder.errors import EngineError
from builder.model import ImageFile

if TYPE_CHECKING:
    from builder.core.layers import SavedImage

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
                with tarfile.open(fileobj=ChunkFile(chunks), mode="r|", bufsize=CHUNK) as tar:
                    yield from _read_tar(tar, wanted)
            except tarfile.TarError as error:
                raise self._broken_off(doing, error) from error

    def read_image(self, image: str, wanted: Callable[[str], object]) -> SavedImage:
        """The layers of `image` with all that they hold; bytes only of the files for whose path `wanted` is true."""
        doing = f"cannot read the layers of {image}"
        try:
            with closing(self._saved(image, doing)) as chunks:
                return read_saved(ChunkFile(chunks), wanted)
        except DamagedImage as error:
            raise self._broken_off(doing, error) from error

    def save_image(self, image: str) -> Generator[bytes, None, None]:
        """The image as `docker save` writes it, in chunks. Closing the iterator closes the connection."""
        return self._saved(image, f"cannot save {image}")

    def _saved(self, image: str, doing: str) -> Generator[bytes, None, None]:
        with self.asking(doing):
            # The engine answers when it has written all layers to its disk, which may take it minutes.
            url = f"{self._api.base_url}{self.prefix}/images/{image}/get"
            response = self._api.get(url, stream=True, timeout=None)
            try:
                if response.status_code >= 400:
                    raise answer_error(doing, response.status_code, reason(response), self.host)
                yield from response.iter_content(CHUNK)
            finally:
                response.close()

    def _broken_off(self, doing: str, error: Exception) -> EngineError:
        return EngineError(
            f"{doing}: the engine's answer broke off ({error})",
            where=self.host.named,
            hint="the engine may have been restarted: run the same command again",
        )

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
