"""The workstation of the cold build: on an engine that has nothing (`tests.engine.second_engine`), which takes root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bench.stand import Workstation, make_environment


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
