"""Twenty workstations started at once: when the last one is painted, and what each takes."""

from __future__ import annotations

import time
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Of one image: seconds from the first create to the last painted desktop, and MB a workstation."""

    seconds: float
    resident: float
    anonymous: float


def measure_crowd(pair: Pair, rounds: int) -> list[Figure]:
    found = {recipe.name: _start_crowd(recipe) for recipe in pair.recipes}
    ours, naive = found["ours"], found["naive"]
    base = f"{CROWD} of the naive image"
    return [
        make_figure(
            "crowd", f"{CROWD} workstations started at once, until all are painted", "s", (ours.seconds,),
            base, (naive.seconds,),
        ),
        make_figure(
            "crowd-memory", "memory of each of them, resident, summed over all processes", "MB", (ours.resident,),
            base, (naive.resident,),
        ),
        make_figure(
            "crowd-anonymous", "memory of each of them, anonymous pages", "MB", (ours.anonymous,),
            base, (naive.anonymous,),
        ),
    ]  # fmt: skip


def _start_crowd(recipe: Recipe) -> Crowd:
    began = time.perf_counter()
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=CROWD) as pool:

        def start(_: int) -> tuple[Running, float]:
            container = stack.enter_context(running(recipe))
            seen = watch(container, deadline_s=DEADLINE_S, pause_s=PAUSE_S, stride=STRIDE)
            return container, container.created + seen.painted - began

        found = list(pool.map(start, range(CROWD)))
        time.sleep(SETTLE_S)
        memory = [(container.resident_mb(), container.cgroup_rss_mb()) for container, _ in found]
    return Crowd(
        seconds=max(seconds for _, seconds in found),
        resident=sum(resident for resident, _ in memory) / CROWD,
        anonymous=sum(anonymous for _, anonymous in memory) / CROWD,
    )
