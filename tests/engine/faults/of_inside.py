"""Faults inside the workstation: limits that are met. Services that die are looked at in test_inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.engine.faults.model import Chapter, Family, Trouble
from tests.engine.faults.scene import Scene

# What a person may do, and what comes of it: the command ends, the workstation stays.
EATS_MEMORY = "exec -- python3 -c 'bytearray(2 << 30)'"
FORKS = "exec -- sh -c 'i=0; while [ $i -lt 300 ]; do sleep 3 & i=$((i+1)); done'"
FILLS_SHM = "exec -- dd if=/dev/zero of=/dev/shm/full bs=1M count=200"


@contextmanager
def limited(resources: str, scene: Scene) -> Iterator[Trouble]:
    with scene.configured(f"resources: {{{resources}}}\n"):
        scene.subject.up()
        yield Trouble()
        assert scene.subject.inside("echo", "alive") == "alive\n"


row = Chapter(family=Family.INSIDE).row

INSIDE = (
    row(
        "memory-limit",
        "a program wants more memory than there is",
        partial(limited, "memory: 512m"),
        137,
        "",
        verb=EATS_MEMORY,
        seconds=30,
    ),
    row(
        "pids-limit",
        "a program starts more processes than may be",
        partial(limited, "pids: 150"),
        2,
        "fork",
        verb=FORKS,
        seconds=30,
    ),
    row(
        "shm-limit",
        "a program fills the shared memory",
        partial(limited, "shm: 64m"),
        1,
        "No space left on device",
        verb=FILLS_SHM,
        seconds=30,
    ),
)
