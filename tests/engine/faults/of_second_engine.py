"""Faults that take an engine of their own: it is killed, or its disk runs full.

Both workstations are on it, so that the bystander sees the fault, too. Its disk is a small one (`DISK_MB`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.engine.faults.model import Chapter, Family, Start, Trouble
from tests.engine.faults.relays import EXEC, START, cut_after, through
from tests.engine.faults.scene import Scene
from tests.engine.relay import Trap
from tests.engine.second_engine import SecondEngine

DISK_MB = 3000  # the base, and the image of both workstations with its copy on the way in


def engine_of(scene: Scene) -> SecondEngine:
    assert scene.second is not None
    return scene.second


@contextmanager
def killed_at(request: str, scene: Scene, *, comes_back: bool) -> Iterator[Trouble]:
    """As a crash would; what runs on it runs on. It is started anew at once, or once the fault is over."""
    engine = engine_of(scene)

    def happens() -> None:
        engine.kill()
        if comes_back:
            engine.start()

    with through(Trap(request=request, act=cut_after(happens)), scene) as trouble:
        yield trouble
    engine.start()


@contextmanager
def disk_full(scene: Scene) -> Iterator[Trouble]:
    """When a container is made. In a step of a build apt can hang on a full disk, until `SILENCE_S`
    of `buildkit` is over: that is no row."""
    filler = engine_of(scene).data.with_name("filler")
    fill(filler)
    try:
        yield Trouble()
    finally:
        filler.unlink()


def fill(filler: Path) -> None:
    """Take all of its disk."""
    with filler.open("wb", buffering=0) as file:
        disk = os.fstatvfs(file.fileno())
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - (4 << 20))
        file.seek(0, os.SEEK_END)
        try:
            while True:
                file.write(bytes(4096))
        except OSError:  # that is the end that was looked for
            return


row = Chapter(family=Family.ENGINE).row

SECOND_ENGINE = (
    row(
        "engine-restarted",
        "it is killed and started anew between making the container and starting it",
        partial(killed_at, START, comes_back=True),
        5,
        "cannot start the workstation: the connection to unix://",
        "run the same command again",
        start=Start.ABSENT,
        resumes=True,
        seconds=20,
    ),
    row(
        "engine-restarted-in-wait",
        "it is killed and started anew while `up` waits for the workstation",
        partial(killed_at, EXEC, comes_back=True),
        5,
        "the connection to unix://",
        "run the same command again",
        start=Start.ABSENT,
        resumes=True,
        seconds=40,
    ),
    row(
        "engine-lost",
        "it is killed when the container is to start, and stays away",
        partial(killed_at, START, comes_back=False),
        5,
        "cannot start the workstation: the connection to unix://",
        "run the same command again",
        start=Start.ABSENT,
        resumes=True,
    ),
    row(
        "engine-disk-full",
        "its disk is full when the container is to be made",
        disk_full,
        5,
        "no space left on device",
        "free some disk",
        start=Start.ABSENT,
        resumes=True,
    ),
)
