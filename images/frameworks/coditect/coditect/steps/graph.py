"""The graph of steps: what is wrong with it, what a choice of steps draws in, and which chain is the longest.

Pure functions over `name -> names it needs`. Order and cycles come from graphlib of the standard library.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Needs = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Fault:
    """Something wrong with one need of one step."""

    step: str
    need: str
    text: str


def find_faults(needs: Needs) -> Iterator[Fault]:
    """Needs that no step has, and every cycle that is left when the need before it is taken away."""
    for step, wanted in needs.items():
        for need in wanted:
            if need not in needs:
                yield Fault(step, need, f"step {step!r} needs {need!r}, which is no step{nearest(need, needs)}")
    rest = {step: [need for need in wanted if need in needs] for step, wanted in needs.items()}
    while cycle := _find_cycle(rest):
        step, need = cycle[0], cycle[1]
        yield Fault(step, need, f"steps need each other in a circle: {' -> '.join(cycle)}")
        rest[step] = [other for other in rest[step] if other != need]


def nearest(word: str, valid: Iterable[str]) -> str:
    """`: did you mean ...?`, or nothing where nothing is near."""
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def _find_cycle(needs: Needs) -> list[str]:
    """Names of a cycle, each needing the next, the first again at the end; it starts with the one defined first."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1][:0:-1]  # graphlib tells it the other way round, and one name twice
        positions = {name: position for position, name in enumerate(needs)}
        first = cycle.index(min(cycle, key=positions.__getitem__))
        return [*cycle[first:], *cycle[: first + 1]]
    return []


def closure(needs: Needs, chosen: Iterable[str]) -> set[str]:
    """The chosen steps, and all that they need."""
    found: set[str] = set()
    waiting = list(chosen)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needs[name])
    return found


def in_order(needs: Needs) -> list[str]:
    """Every step after those that it needs."""
    return list(TopologicalSorter(needs).static_order())


def count_levels(needs: Needs) -> dict[str, int]:
    """How many steps stand in a row before each one."""
    levels: dict[str, int] = {}
    for name in in_order(needs):
        levels[name] = max((levels[need] + 1 for need in needs[name]), default=0)
    return levels


def count_followers(needs: Needs) -> dict[str, int]:
    """How many steps in a row wait for each one: who has most of them behind it should start first."""
    heights = dict.fromkeys(needs, 0)
    for name in reversed(in_order(needs)):
        for need in needs[name]:
            heights[need] = max(heights[need], heights[name] + 1)
    return heights


def longest_chain(needs: Needs, seconds: Mapping[str, float]) -> tuple[float, list[str]]:
    """The chain of steps, each needing the one before, that takes longest in all."""
    best: dict[str, tuple[float, str]] = {}  # name -> seconds until its end, the step before it
    for name in in_order(needs):
        before = max(((best[need][0], need) for need in needs[name]), default=(0.0, ""))
        best[name] = (before[0] + seconds[name], before[1])
    last = max(best, key=lambda name: best[name][0], default="")
    chain: list[str] = []
    name = last
    while name:
        chain.append(name)
        name = best[name][1]
    return (best[last][0] if last else 0.0), chain[::-1]
