"""Builds: from nothing, again with one tool more, and again with nothing left but the cache of packages."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker

from bench.cold import empty_engine, remote_workstation
from bench.figures import Figure, make_figure, take_seconds
from bench.stand import CommandFailed, Workstation

if TYPE_CHECKING:
    from bench.pair import Pair

MISSING_PACKAGE: Final = "Unable to locate package"
# Small packages that few people have; a sample needs one whose step is not in the builder's cache yet.
SMALL_PACKAGES: Final = (
    *("bc", "beep", "bsdgames", "colordiff", "cowsay", "dc", "dos2unix", "ed", "entr", "fdupes", "figlet", "gron"),
    *("hello", "jo", "lolcat", "moreutils", "mtools", "ncdu", "nyancat", "par", "pv", "pwgen", "rlwrap", "sl"),
    *("sloccount", "toilet", "units", "uuid", "vbindiff", "xxd", "yafc"),
)
FORGOTTEN: Final = ("regular", "source.local", "frontend", "internal")  # all kinds but exec.cachemount
NAIVE_CHANGED: Final = "the naive build from the changed line on, which is all of it"


def measure_rebuild(pair: Pair, rounds: int) -> list[Figure]:
    """One package more in devbox.yaml, and `up`: rebuild, replace, painted. Packages in the cache do not count."""
    ours = pair.ours
    values: list[float] = []
    again: list[float] = []
    for package in random.sample(SMALL_PACKAGES, len(SMALL_PACKAGES)):
        ours.write(apt=[package])
        started = time.perf_counter()
        try:
            log = ours.devbox("--log", "json", "up").stderr
        except CommandFailed as error:
            if MISSING_PACKAGE not in str(error):
                raise
            continue  # this base has no such package
        seconds = time.perf_counter() - started
        ours.status()
        ran = _steps_that_ran(log)
        if f"apt:{package}" in ran:
            values.append(seconds)
            again.append(len([name for name in ran if name.startswith("apt") and name != f"apt:{package}"]))
        if len(values) == rounds:
            break
    ours.write()
    ours.devbox("up")
    ours.wait_healthy()
    naive = () if pair.naive.build_s is None else (pair.naive.build_s,)
    return [
        make_figure(
            "rebuild", "`devbox up` after one Debian package more", "s", tuple(values),
            NAIVE_CHANGED if naive else "", naive,
        ),
        make_figure("rebuild-apt-steps", "other apt steps that ran again for it", "steps", tuple(again)),
    ]  # fmt: skip


def _steps_that_ran(log: str) -> set[str]:
    """Steps that the builder did, not found in its cache, as the events of `--log json` tell."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {str(event.get("name")) for event in events if event.get("state") == "done"}


def measure_cold(pair: Pair, rounds: int) -> list[Figure]:
    """One sample of a cold build; then some with the layers gone, and the base and the cache of packages there."""
    naive = pair.naive.seconds
    with (
        empty_engine(pair.stand.folder / "cold") as (disk, engine),
        _workstation(disk, engine.host, pair.stand.common) as workstation,
    ):
        print("cold: building on an empty engine", file=sys.stderr, flush=True)
        cold = take_seconds(lambda: workstation.devbox("build"))
        painted = take_seconds(lambda: workstation.devbox("up"))
        cached: list[float] = []
        for _ in range(max(1, rounds // 3)):
            _forget_layers(workstation, engine.host)
            cached.append(take_seconds(lambda: workstation.devbox("build")))
    return [
        make_figure(
            "cold", "`devbox build`, empty engine and empty cache, base included", "s", (cold,),
            "debootstrap, import and the naive build", () if naive is None else (naive,),
        ),
        make_figure("cold-painted", "the same and `devbox up`, until painted", "s", (cold + painted,)),
        make_figure(
            "rebuild-cached", "`devbox build` with the cache of packages, layers gone", "s", tuple(cached),
            "the cold build", (cold,),
        ),
    ]  # fmt: skip


@contextmanager
def _workstation(folder: Path, host: str, common: Mapping[str, object]) -> Iterator[Workstation]:
    workstation = remote_workstation(folder, host, common)
    try:
        yield workstation
    finally:
        workstation.take_away()


def _forget_layers(workstation: Workstation, host: str) -> None:
    """The image and every record of BuildKit's cache but its cache mounts."""
    workstation.devbox("down")
    client = docker.DockerClient(base_url=host)
    for image in client.images.list():
        if any(tag.startswith("devbox/workstation:") for tag in image.tags):
            client.images.remove(image.tags[0], force=True)
    for kind in FORGOTTEN:  # the engine takes one value a question
        client.api.prune_builds(filters={"type": kind}, all=True)  # type: ignore[arg-type]  # the stubs lack it
    client.close()
