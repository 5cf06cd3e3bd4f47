"""Starts of both images in turns: until painted, with the page cache and without, and what they cost until idle."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, Timeline, make_figure
from bench.painted import Painted, watch
from bench.recipe import PORTS, Recipe, Running, running
from builder.adapters.clock import wait_for

if TYPE_CHECKING:
    from bench.pair import Pair

DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
IDLE_S: Final = 15  # how old a container is when its memory is read, at least
CALM_S: Final = 3.0  # this long with next to no work: idle
CALM_CPU_S: Final = 0.05
NAIVE: Final = "the naive image"


def measure_warm(pair: Pair, rounds: int) -> list[Figure]:
    for recipe in pair.recipes:
        _sample(recipe)  # what is read from the disk once is in the page cache afterwards
    return _measure_starts(pair, rounds, "start-warm", "warm", lambda: None)


def measure_cold(pair: Pair, rounds: int) -> list[Figure]:
    if not os.access(DROP_CACHES, os.W_OK):
        pair.note("start-cold is not measured: dropping the page cache takes root on the engine's own machine")
        return []
    return _measure_starts(pair, rounds, "start-cold", "page cache dropped", _drop_caches)


def _drop_caches() -> None:
    os.sync()
    DROP_CACHES.write_text("3\n")


def _measure_starts(pair: Pair, rounds: int, name: str, words: str, before: Callable[[], None]) -> list[Figure]:
    samples: dict[str, list[Painted]] = {"ours": [], "naive": []}
    for recipe in pair.in_turns(rounds):
        before()
        samples[recipe.name].append(_sample(recipe))
    for key, items in samples.items():
        pair.timelines.append(Timeline(name=f"{key}, {words}", phases=_median_phases(items)))
    return [
        make_figure(
            name, f"create of the container until painted, {words}", "s",
            tuple(item.painted for item in samples["ours"]),
            NAIVE, tuple(item.painted for item in samples["naive"]),
        ),
        make_figure(
            name.replace("start", "rfb"), f"create of the container until VNC answers, {words}", "s",
            tuple(item.rfb for item in samples["ours"]),
            NAIVE, tuple(item.rfb for item in samples["naive"]),
        ),
    ]  # fmt: skip


def _sample(recipe: Recipe) -> Painted:
    with running(recipe) as container:
        return watch(container)


def _median_phases(items: list[Painted]) -> dict[str, float]:
    return {phase: statistics.median(item.phases()[phase] for item in items) for phase in items[0].phases()}


def measure_idle(pair: Pair, rounds: int) -> list[Figure]:
    """CPU until idle, and the memory some seconds later; without a viewer, web and SSH listening."""
    cpu: dict[str, list[float]] = {"ours": [], "naive": []}
    memory: dict[str, list[tuple[float, float, float]]] = {"ours": [], "naive": []}
    for number in range(rounds):
        with ExitStack() as stack:
            both: list[Running] = []
            for recipe in pair.recipes if number % 2 == 0 else reversed(pair.recipes):
                both.append(stack.enter_context(running(recipe)))
                cpu[recipe.name].append(wait_idle(both[-1]))
            for container in both:
                time.sleep(max(0.0, container.started + IDLE_S - time.perf_counter()))
                found = (container.resident_mb(), container.cgroup_rss_mb(), container.counted_mb())
                memory[container.recipe.name].append(found)
    words = f"idle memory {IDLE_S} s after the start, no viewer, web and SSH listening: "
    kinds = (
        ("memory", "resident, summed over all processes"),
        ("memory-anonymous", "anonymous pages, each counted once (the kernel's rss of the container)"),
        ("memory-counted", "as `docker stats` counts"),
    )
    return [
        make_figure("cpu", "CPU seconds from start to idle", "s", tuple(cpu["ours"]), NAIVE, tuple(cpu["naive"])),
        *(
            make_figure(
                name, words + what, "MB",
                tuple(found[index] for found in memory["ours"]),
                NAIVE, tuple(found[index] for found in memory["naive"]),
            )
            for index, (name, what) in enumerate(kinds)
        ),
    ]  # fmt: skip


def wait_idle(container: Running) -> float:
    """The CPU seconds it had used when it came to rest, with web and SSH listening."""
    wait_for("web and SSH to listen", lambda: container.listens(PORTS) or None, deadline_s=60, interval_s=0.1)
    readings: list[tuple[float, float]] = []

    def look() -> float | None:
        now = time.perf_counter()
        readings.append((now, container.cpu_seconds()))
        old = [used for at, used in readings if now - at >= CALM_S]
        return old[-1] if old and readings[-1][1] - old[-1] < CALM_CPU_S else None

    return wait_for("the desktop to rest", look, deadline_s=60, interval_s=0.25)
