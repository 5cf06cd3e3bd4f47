"""Reads devbox's own data folders, from a checkout or from the installed wheel. Writes nothing, interprets nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from builder.core.projects import is_wanted
from builder.errors import RenderError
from builder.model import Assets, RenderedFile

PACKAGE = Path(__file__).resolve().parents[1]
DISTRIBUTION = "devbox-workstation"


def data_root() -> Path:
    """The folder that holds images/, templates/ and compose/: beside the package, or inside it once installed."""
    for root in (PACKAGE.parent, PACKAGE / "data"):
        if (root / "images" / "tools").is_dir() and (root / "templates").is_dir():
            return root
    raise RenderError("the data folders of devbox are missing", where=str(PACKAGE), hint="install devbox again")


def load_assets(root: Path | None = None) -> Assets:
    """Read all of it; less than two hundred small files."""
    root = root or data_root()
    rootfs = root / "images" / "rootfs"
    catalogue = {
        f"images/{path.relative_to(root / 'images').as_posix()}": path.read_text(encoding="utf-8")
        for folder in ("bases", "profiles", "tools")
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


def find_version() -> str:
    """Of the installed distribution."""
    return version(DISTRIBUTION)


def stamp_assets(root: Path | None = None) -> list[str]:
    """Name, size and time of every file: tells within a few milliseconds that nothing changed since the last look."""
    root = root or data_root()
    stamps = []
    for folder in ("images", "templates", "compose"):
        for path in _files(root / folder):
            status = path.stat()
            stamps.append(f"{path.relative_to(root)} {status.st_size} {status.st_mtime_ns} {status.st_mode}")
    return stamps


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
