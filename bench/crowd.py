"""Twenty workstations started at once: when the last one is painted, and what each takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, make_figure
from bench.painted import watch
from bench.recipe import Recipe, Running, running

if TYPE_CHECKING:
    from bench.pair import Pair

CROWD: Final = 20
DEADLINE_S: Final = 180
# Twenty viewers would cost more than what they look at: they look twice a second, at every eighth row.
PAUSE_S: Final = 0.5
STRIDE: Final = 8
SETTLE_S: Final = 10
ROUNDS: Final = 2  # of ours, before and after the naive one, which takes more than a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Of one image: seconds from the first create to the last painted desktop, and MB a workstation."""

    seconds: float
    resident: float
    anonymous: float


def measure_crowd(pair: Pair, rounds: int) -> list[Figure]:
    ours, naive = pair.recipes
    found: dict[str, list[Crowd]] = {ours.name: [], naive.name: []}
    for recipe in (ours, naive, ours)[: 1 + min(rounds, ROUNDS)]:
        found[recipe.name].append(_start_crowd(recipe))
    base = f"{CROWD} of the naive image"

    def figure(key: str, what: str, unit: str, of: Callable[[Crowd], float]) -> Figure:
        return make_figure(key, what, unit, tuple(map(of, found[ours.name])), base, tuple(map(of, found[naive.name])))

    return [
        figure("crowd", f"{CROWD} workstations started at once, until all are painted", "s", lambda it: it.seconds),
        figure(
            "crowd-memory", "memory of each of them, resident, summed over all processes", "MB", lambda it: it.resident
        ),
        figure("crowd-anonymous", "memory of each of them, anonymous pages", "MB", lambda it: it.anonymous),
    ]


def _start_crowd(recipe: Recipe) -> Crowd:
    began = time.perf_counter()
    stacks = [ExitStack() for _ in range(CROWD)]
    with ThreadPoolExecutor(max_workers=CROWD) as pool:

        def start(stack: ExitStack) -> tuple[Running, float]:
            container = stack.enter_context(running(recipe))
            seen = watch(container, deadline_s=DEADLINE_S, pause_s=PAUSE_S, stride=STRIDE)
            return container, container.created + seen.painted - began

        try:
            found = list(pool.map(start, stacks))
            time.sleep(SETTLE_S)
            memory = [(container.resident_mb(), container.cgroup_rss_mb()) for container, _ in found]
        finally:
            list(pool.map(ExitStack.close, stacks))
    return Crowd(
        seconds=max(seconds for _, seconds in found),
        resident=sum(resident for resident, _ in memory) / CROWD,
        anonymous=sum(anonymous for _, anonymous in memory) / CROWD,
    )
