"""Files of packages and base images that this machine keeps in its cache, for builds without a network.

Owns the layout: `packages-<kind>/<algorithm>-<hex>/<file>` and `bases/<identity>.tar.zst`. What is below its final name
is whole; a file whose sum is another one by now is taken away. All of it can be lost: `devbox fetch` brings it again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.fetch import CHUNK, publish, temporary
from builder.adapters.files import cannot, make_folder
from builder.adapters.imagearchive import Progress, read_archive, read_note, write_archive
from builder.errors import HostError

if TYPE_CHECKING:
    from builder.core.kept import KeptFile


class KeptPackages:
    """`cache` is a folder of our own, of which these are a part."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def find_missing(self, files: Sequence[KeptFile]) -> tuple[KeptFile, ...]:
        """Those that are not kept. Each that is has the sum that it should."""
        return tuple(file for file in files if self._find(file) is None)

    def take(self, kind: str, name: str, data: bytes) -> None:
        """Keep a file by its own sum: sha256, or what the name begins with, as npm's (`sha512-...`) do."""
        algorithm = name.partition("-")[0] if kind == "npm" else "sha256"
        total = f"{algorithm}-{hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()}"
        with temporary(self._cache) as work:
            (work / name).write_bytes(data)
            publish(work, self._packages(kind) / total)

    @contextmanager
    def gathered(self, files: Sequence[KeptFile]) -> Iterator[Path]:
        """A folder with those that are kept, as `<kind>/<file>`, for as long as it is needed."""
        with temporary(self._cache) as work:
            for file in files:
                if found := self._find(file):
                    make_folder(work / file.kind)
                    _link(found, work / file.kind / found.name)
            yield work

    def find_base(self, identity: str) -> str | None:
        """The id of the image that is kept as the base that a lock calls so."""
        path = self._base(identity)
        try:
            return read_note(path).get("id") if path.is_file() else None
        except HostError:
            return None  # cut off: it is kept anew

    def save_base(self, identity: str, image: str, chunks: Iterator[bytes], on_progress: Progress) -> int:
        """Keep what `docker save` writes of the image with this id; the size of the file in bytes."""
        path = self._base(identity)
        make_folder(path.parent)
        return write_archive(path, chunks, {"id": image}, on_progress)

    def read_base(self, identity: str, on_progress: Progress) -> Iterator[bytes]:
        """Its tar, in chunks. Raises HostError for a damaged one, which is taken away: `devbox fetch` keeps it anew."""
        path = self._base(identity)
        try:
            yield from read_archive(path, on_progress)
        except HostError as error:
            path.unlink(missing_ok=True)
            hint = "`devbox fetch`, where there is a network, keeps it anew"
            raise HostError(error.message, where=error.where, hint=hint) from error

    def _packages(self, kind: str) -> Path:
        return self._cache / f"packages-{kind}"

    def _base(self, identity: str) -> Path:
        return self._cache / "bases" / f"{re.sub(r'[^A-Za-z0-9]+', '-', identity)}.tar.zst"

    def _find(self, file: KeptFile) -> Path | None:
        for total in file.sums:
            folder = self._packages(file.kind) / total
            if not folder.is_dir():
                continue
            found = next(folder.iterdir(), None)
            if found is not None and _has_sum(found, total):
                return found
            shutil.rmtree(folder)  # a file that rotted is fetched again
        return None


def _has_sum(path: Path, total: str) -> bool:
    algorithm, _, digest = total.partition("-")
    found = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        raise cannot("read", path, error) from error
    return found.hexdigest() == digest


def _link(source: Path, target: Path) -> None:
    try:
        if not target.exists():  # two packages of a closure can be the same file
            os.link(source, target)
    except OSError as error:
        raise cannot("link", target, error) from error
