"""What a bench says: figures with their samples, baseline and target. Owns the arithmetic; measures nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Samples of one thing. The median is the figure; a baseline was measured in the same run, in turns with it."""

    name: str
    what: str  # in words, for who reads the table
    unit: str  # s | MB
    values: tuple[float, ...]
    baseline: str = ""  # what the baseline is, in words
    baseline_values: tuple[float, ...] = ()
    target: float | None = None  # at most this, in `unit`; said, never asserted

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def baseline_median(self) -> float | None:
        return statistics.median(self.baseline_values) if self.baseline_values else None

    @property
    def ratio(self) -> float | None:
        """Ours to the baseline: it carries over to other machines better than the seconds do."""
        return self.median / self.baseline_median if self.baseline_median else None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.median <= self.target

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "median": round(self.median, 4),
            "values": [round(value, 4) for value in self.values],
            "baseline": self.baseline or None,
            "baseline_median": None if self.baseline_median is None else round(self.baseline_median, 4),
            "baseline_values": [round(value, 4) for value in self.baseline_values],
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target,
            "met": self.met,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole run: when, on what kind of machine, on which image, and what came out."""

    date: str
    machine: Mapping[str, str]
    figures: tuple[Figure, ...]
    conditions: tuple[str, ...] = field(default=())  # bases and tools that stood in for others

    def as_dict(self) -> dict[str, object]:
        return {
            "date": self.date,
            "machine": dict(self.machine),
            "conditions": list(self.conditions),
            "figures": [figure.as_dict() for figure in self.figures],
        }


def take_seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def take_turns(rounds: int, acts: Mapping[str, Callable[[], object]]) -> dict[str, tuple[float, ...]]:
    """Seconds of each act, in turns, so that whatever else the machine does meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            seconds[name].append(take_seconds(act))
    return {name: tuple(values) for name, values in seconds.items()}
