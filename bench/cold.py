"""The engine that has nothing, and a workstation there; both take root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.stand import Workstation, make_environment
from tests.engine.second_engine import SecondEngine, second_engine, small_disk

DISK_MB: Final = 16_000


@contextmanager
def empty_engine(folder: Path) -> Iterator[tuple[Path, SecondEngine]]:
    """`folder` on a new file system, and an engine with its data there.

    On the machine's own, each new file takes longer for minutes after an earlier measure has removed its images
    (docs/decisions/build-speed.md): 56 s were measured for a build of 43.
    """
    with small_disk(folder, DISK_MB) as disk, second_engine(disk / "data") as engine:
        yield disk, engine


def remote_workstation(folder: Path, host: str, common: Mapping[str, object]) -> Workstation:
    """A workstation on that engine, with a cache of its own, empty like the engine."""
    environment = make_environment(folder, DOCKER_HOST=host, XDG_CACHE_HOME=str(folder / "cache"))
    workspace = folder / f"bench-{os.getpid()}-cold"
    workspace.mkdir()
    workstation = Workstation(folder=workspace, environment=environment, common=common)
    # Chosen before a build of a minute: where nobody else looks for a free one meanwhile.
    first = 20_000 + os.getpid() % 20_000
    workstation.write(ports={"vnc": first, "web": first + 1, "ssh": first + 2, "dev": False})
    return workstation
