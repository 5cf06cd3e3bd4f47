"""Reads devbox's own data folders, from a checkout or from the installed wheel. Writes nothing, interprets nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from builder.adapters.installation import data_root
from builder.core.projects import is_wanted
from builder.model import Assets, RenderedFile

DISTRIBUTION = "devbox-workstation"


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
