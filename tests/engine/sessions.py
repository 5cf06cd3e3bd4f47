"""What a session of tests makes on an engine: taken away at its end, and by the next session where it was killed.

A workstation's label names its folder, that of its session is above it, and in that lies a file which the kernel
keeps locked for as long as the session lives (flock). What a killed one left would otherwise keep its names for ever:
`up` refuses a workstation that belongs to another folder.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.adapters.engine.client import Engine
from builder.adapters.engine.spec import PROJECT
from builder.core.labels import LABEL_WORKSPACE
from tests.engine.second_engine import unmount

FOLDER = "devbox0"  # of most workstations of a session: SESSION/devbox0, and SESSION is ROOT/pytest-N
# Images that workstations of this session were made of, and may have made. Not in conftest, which pytest loads once and
# each test that imports from it once more.
NAMED: set[str] = set()


@contextmanager
def living(session: Path) -> Iterator[None]:
    """While this lasts nobody takes away what the session makes."""
    with _lock(session).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_dead(engine: Engine, root: Path) -> None:
    """Take away what killed sessions with folders below `root` left here: also of one whose folder is gone."""
    made = [view.labels[LABEL_WORKSPACE] for view in engine.find_services()]
    made += [part.workspace for part in engine.all_parts()]
    for session in {root / found[1] for found in map(_below(root).match, made) if found}:
        if not _lives(session):
            remove_made(engine, session)
    for session in root.glob("pytest-*[0-9]"):
        if not _lives(session):
            unmount(session)  # a disk of an engine: while it is mounted, pytest cannot remove the folder


def remove_made(engine: Engine, session: Path) -> list[str]:
    """Take away containers, networks and volumes of a session; the names of its containers."""
    services = [view for view in engine.find_services() if session in Path(view.labels[LABEL_WORKSPACE]).parents]
    for view in services:
        engine.remove(view.id)
    parts = [part for part in engine.all_parts() if session in Path(part.workspace).parents]
    for project in {view.labels[PROJECT] for view in services} | {part.project for part in parts}:
        engine.remove_network(project)
    for part in parts:
        if part.kind == "volume":
            engine.remove_volume(part.name)
    return [view.name for view in services]


def _below(root: Path) -> re.Pattern[str]:
    """Matches the folder of a workspace; group 1 is that of its session, as seen from the root."""
    return re.compile(rf"{re.escape(str(root))}/(pytest-\d+)/")


def _lock(session: Path) -> Path:
    return session / "living.lock"


def _lives(session: Path) -> bool:
    try:
        with _lock(session).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
