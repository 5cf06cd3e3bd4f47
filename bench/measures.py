"""The figures, each a function from a stand to what it measured. Adding one is a function and a line in MEASURES."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import docker

from bench.cold import measure_cold
from bench.figures import Figure, take_seconds, take_turns
from bench.stand import DEVBOX, CommandFailed, Stand, Workstation, make_environment, run
from builder.adapters.engine.client import connect_engine

if TYPE_CHECKING:
    from docker.models.containers import Container

IDLE_S: Final = 20
# Small packages that few people have; a sample needs one whose step is not in the builder's cache yet.
SMALL_PACKAGES: Final = (
    *("bc", "beep", "bsdgames", "colordiff", "cowsay", "dc", "dos2unix", "ed", "entr", "fdupes", "figlet", "gron"),
    *("hello", "jo", "lolcat", "moreutils", "mtools", "ncdu", "nyancat", "par", "pv", "pwgen", "rlwrap", "sl"),
    *("sloccount", "toilet", "units", "uuid", "vbindiff", "xxd", "yafc"),
)

# What we want on a quiet machine of two cores. The profile's budgets are wider: they must hold on a busy one too.
GOAL_PAINTED_S: Final = 1.1
GOAL_IDLE_MB: Final = 85
GOAL_IMAGE_MB: Final = 480


@dataclass(slots=True)
class Pair:
    """Two workstations from the same image: ours, and the same one started by Docker Compose as the baseline."""

    stand: Stand
    _ours: Workstation | None = None
    _theirs: Workstation | None = None

    @property
    def ours(self) -> Workstation:
        if self._ours is None:
            ours = self.stand.new("ours")
            ours.devbox("up")
            ours.wait_healthy()
            self._ours = ours
        return self._ours

    @property
    def theirs(self) -> Workstation:
        """Rendered by devbox, started by Compose."""
        if self._theirs is None:
            self.ours.wait_healthy()  # its image is the one that is started here
            theirs = self.stand.new("theirs")
            theirs.devbox("render")
            theirs.compose("up", "-d")
            self._theirs = theirs
        return self._theirs


def measure_help(pair: Pair, rounds: int) -> list[Figure]:
    environment = make_environment(pair.stand.folder)
    seconds = take_turns(
        3 * rounds,
        {
            "ours": lambda: run([DEVBOX, "--help"], environment),
            "bare": lambda: run([sys.executable, "-c", "pass"], environment),
        },
    )
    return [
        Figure(
            name="help", what="`devbox --help`", unit="s", values=seconds["ours"], target=0.25,
            baseline="Python that does nothing", baseline_values=seconds["bare"],
        )
    ]  # fmt: skip


def measure_noop(pair: Pair, rounds: int) -> list[Figure]:
    ours, theirs = pair.ours, pair.theirs
    ours.devbox("up")
    seconds = take_turns(2 * rounds, {"ours": lambda: ours.devbox("up"), "theirs": lambda: theirs.compose("up", "-d")})
    return [
        Figure(
            name="noop", what="`devbox up`, nothing to do", unit="s", values=seconds["ours"], target=0.5,
            baseline="`docker compose up -d`, nothing to do", baseline_values=seconds["theirs"],
        )
    ]  # fmt: skip


def measure_status(pair: Pair, rounds: int) -> list[Figure]:
    ours, theirs = pair.ours, pair.theirs
    seconds = take_turns(2 * rounds, {"ours": lambda: ours.devbox("status"), "theirs": lambda: theirs.compose("ps")})
    return [
        Figure(
            name="status", what="`devbox status`", unit="s", values=seconds["ours"],
            baseline="`docker compose ps`", baseline_values=seconds["theirs"],
        )
    ]  # fmt: skip


def measure_up_painted(pair: Pair, rounds: int) -> list[Figure]:
    """The image is there, the container is not. Ours waits for the painted desktop, the baseline for nothing."""
    ours, theirs = pair.ours, pair.theirs
    wall: list[float] = []
    bare: list[float] = []
    painted: list[float] = []
    created: list[float] = []
    for _ in range(rounds):
        ours.devbox("down")
        wall.append(take_seconds(lambda: ours.devbox("up")))
        painted.append(ours.phases()["frame"])
        created.append(painted[-1] + _seconds_to_start(ours))
        theirs.compose("down")
        bare.append(take_seconds(lambda: theirs.compose("up", "-d")))
    return [
        Figure(
            name="up-painted", what="`devbox up`, image there, until painted", unit="s", values=tuple(wall),
            baseline="`docker compose up -d`, which waits for nothing", baseline_values=tuple(bare),
        ),
        Figure(
            name="start-painted", what="start of the container until painted", unit="s", values=tuple(painted),
            target=GOAL_PAINTED_S,
        ),
        Figure(
            name="create-painted", what="create of the container until painted, at most", unit="s",
            values=tuple(created),
        ),
    ]  # fmt: skip


def _seconds_to_start(workstation: Workstation) -> float:
    state = _container(workstation).attrs
    return (_stamp(state["State"]["StartedAt"]) - _stamp(state["Created"])).total_seconds()


def _stamp(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python 3.10 does not read."""
    return datetime.strptime(text[:26].rstrip("Z"), "%Y-%m-%dT%H:%M:%S.%f")


def measure_rebuild(pair: Pair, rounds: int) -> list[Figure]:
    """One package more in devbox.yaml, and `up`: rebuild, replace, painted. Packages in the cache do not count."""
    ours = pair.ours
    packages = random.sample(SMALL_PACKAGES, len(SMALL_PACKAGES))
    values: list[float] = []
    for package in packages:
        ours.write(apt=[package])
        started = time.perf_counter()
        try:
            log = ours.devbox("--log", "json", "up").stderr
        except CommandFailed:
            continue  # this base has no such package
        seconds = time.perf_counter() - started
        ours.status()
        if not _was_cached(log, f"apt:{package}"):
            values.append(seconds)
        if len(values) == max(3, rounds // 2):
            break
    ours.write()
    ours.devbox("up")
    ours.wait_healthy()
    return [Figure(name="rebuild", what="`devbox up` after one Debian package more", unit="s", values=tuple(values))]


def _was_cached(log: str, step: str) -> bool:
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return any(event.get("name") == step and event.get("state") == "cached" for event in events)


def measure_memory(pair: Pair, rounds: int) -> list[Figure]:
    """After a quiet while without a viewer. The budget is meant as the engine counts; the sum over all processes counts
    a page once for each of them that shares it, and is there to compare with other desktops."""
    ours = pair.ours
    ours.devbox("up", "--recreate")
    time.sleep(IDLE_S)
    engine = connect_engine(os.environ)
    name = _container_name(ours)
    samples = [(engine.stats(name).memory / 1e6, _resident_mb(ours)) for _ in range(3)]
    return [
        Figure(
            name="memory",
            what=f"memory as the engine counts it, {IDLE_S} s after `up`, no viewer",
            unit="MB",
            values=tuple(counted for counted, _ in samples),
            target=GOAL_IDLE_MB,
        ),
        Figure(
            name="resident",
            what="the same moment, resident memory summed over all processes",
            unit="MB",
            values=tuple(resident for _, resident in samples),
        ),
    ]


def _resident_mb(workstation: Workstation) -> float:
    table = _container(workstation).top(ps_args="-eo pid,rss")
    column = table["Titles"].index("RSS")
    return sum(int(row[column]) for row in table["Processes"]) * 1024 / 1e6


def measure_size(pair: Pair, rounds: int) -> list[Figure]:
    image = docker.from_env().images.get(str(pair.ours.status()["image"]))
    base = [image.attrs["Size"] / 1e6]
    return [
        Figure(
            name="size", what="image, unpacked", unit="MB", values=tuple(base), target=GOAL_IMAGE_MB,
        )
    ]  # fmt: skip


def _container(workstation: Workstation) -> Container:
    return docker.from_env().containers.get(_container_name(workstation))


def _container_name(workstation: Workstation) -> str:
    return f"{workstation.name}-workstation-1"


def _cold(pair: Pair, rounds: int) -> list[Figure]:
    return measure_cold(pair.stand.folder)


Measure = Callable[[Pair, int], list[Figure]]
MEASURES: Final[Mapping[str, Measure]] = {
    "help": measure_help,
    "noop": measure_noop,
    "status": measure_status,
    "up-painted": measure_up_painted,
    "memory": measure_memory,
    "size": measure_size,
    "rebuild": measure_rebuild,
    "cold": _cold,
}
BY_NAME_ONLY: Final = frozenset({"cold"})  # takes minutes and an engine of its own
