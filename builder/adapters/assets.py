"""Reads devbox's own data folders, from a checkout or from the installed wheel, and a person's own catalogue. Writes
nothing, interprets nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot
from builder.adapters.installation import CATALOGUE, data_root, find_catalogue_files
from builder.adapters.intake import Intake, read_file
from builder.core.projects import is_wanted
from builder.core.source import decode_source
from builder.errors import DevboxError
from builder.model import Assets, RenderedFile

DISTRIBUTION = "devbox-workstation"

_INTAKE: Final = Intake(
    name="catalogue",
    link="put a copy in its place",
    key="move it out of the catalogue: who has the image has what is in it",
    size="leave out what the image does not need, or let a build fetch it as an archive",
)


def load_assets(root: Path | None = None) -> Assets:
    """Read all of it; less than two hundred small files."""
    root = root or data_root()
    rootfs = root / "images" / "rootfs"
    catalogue = {
        f"images/{path.relative_to(root / 'images').as_posix()}": path.read_text(encoding="utf-8")
        for folder in CATALOGUE
        for path in sorted((root / "images" / folder).glob("*.yaml"))
    }
    return Assets(
        catalogue=catalogue,
        rootfs={path.relative_to(rootfs).as_posix(): _read(path) for path in _files(rootfs)},
        projects={path.relative_to(root).as_posix(): _read(path) for path in _project_files(root)},
        templates={
            path.relative_to(root / "templates").as_posix(): path.read_text(encoding="utf-8")
            for path in _files(root / "templates")
        },
        service=(root / "compose" / "workstation.yaml").read_text(encoding="utf-8"),
        version=find_version(),
    )


def lay_over(assets: Assets, root: Path, named: str) -> Assets:
    """A person's own catalogue over ours: its files take the place of those of the same name, and a part of its rootfs
    that of the whole part. `named` is the folder as devbox.yaml names it. What cannot be read is kept, and nothing is
    laid over: most verbs need no catalogue."""
    assets = replace(assets, ours=assets.ours or assets)
    try:
        return _lay_over(assets, root, named) if root.is_dir() else replace(assets, absent=(*assets.absent, named))
    except OSError as error:
        fault: DevboxError = cannot("read", Path(error.filename or root), error)
    except DevboxError as error:
        fault = error
    return replace(assets, unread=(*assets.unread, fault))


def _lay_over(assets: Assets, root: Path, named: str) -> Assets:
    found = [Path(path) for path in find_catalogue_files(str(root))]
    rootfs = root / "rootfs"
    inside = dict.fromkeys(path for path in found if path.is_relative_to(rootfs))
    for path in (rootfs, *inside):
        _INTAKE.refuse_link_out(path, root)
    theirs = _INTAKE.read(inside, rootfs)
    parts = {path.partition("/")[0] for path in theirs}
    kept = {path: file for path, file in assets.rootfs.items() if path.partition("/")[0] not in parts}
    files = {f"images/{path.relative_to(root).as_posix()}": path for path in found if path not in inside}
    origins = {path: f"{named.rstrip('/')}/{path.removeprefix('images/')}" for path in files}
    texts = {path: decode_source(read_file(file), file=origins[path]) for path, file in files.items()}
    return replace(
        assets,
        catalogue={**assets.catalogue, **texts},
        rootfs=dict(sorted({**kept, **theirs}.items())),
        origins={**assets.origins, **origins},
    )


def find_version() -> str:
    """Of the installed distribution."""
    return version(DISTRIBUTION)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _project_files(root: Path) -> Iterator[Path]:
    for path in _files(root / "images" / "frameworks"):
        _, *inside = path.relative_to(root / "images" / "frameworks").parts
        if inside and all(is_wanted(inside[:depth]) for depth in range(1, len(inside) + 1)):
            yield path


def _read(path: Path) -> RenderedFile:
    return RenderedFile(data=path.read_bytes(), executable=os.access(path, os.X_OK))
