"""What a bench says: figures with their samples, baseline and bars. Owns the arithmetic; measures nothing."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.targets import BARS, NO_BAR

RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Samples of one thing. The median is the figure; a baseline was measured in the same run, in turns with it."""

    name: str
    what: str  # in words, for who reads the table
    unit: str  # s | MB | ...
    values: tuple[float, ...]
    baseline: str = ""  # what the baseline is, in words
    baseline_values: tuple[float, ...] = ()
    target: float | None = None  # at most this, in `unit`; said, never asserted
    target_ratio: float | None = None  # at most this of the baseline
    floor_ratio: float | None = None  # at least this of it

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
        """Whether every bar is met; None where there is none, or none that could be judged in this run."""
        verdicts = list(self.verdicts.values())
        return all(verdicts) if verdicts else None

    @property
    def verdicts(self) -> dict[str, bool]:
        """Each bar that can be judged in this run: a ratio needs its baseline."""
        found: dict[str, bool] = {}
        if self.target is not None:
            found[self.unit] = self.median <= self.target
        if self.target_ratio is not None and self.ratio is not None:
            found["ratio"] = self.ratio <= self.target_ratio
        if self.floor_ratio is not None and self.ratio is not None:
            found["ratio"] = self.ratio >= self.floor_ratio
        return found

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
            "target_ratio": self.target_ratio,
            "floor_ratio": self.floor_ratio,
            "met": self.met,
        }


def make_figure(
    name: str,
    what: str,
    unit: str,
    values: tuple[float, ...],
    baseline: str = "",
    baseline_values: tuple[float, ...] = (),
) -> Figure:
    """A figure with the bars that `targets` has for its name."""
    bar = BARS.get(name, NO_BAR)
    return Figure(
        name=name,
        what=what,
        unit=unit,
        values=values,
        baseline=baseline,
        baseline_values=baseline_values,
        target=bar.value,
        target_ratio=bar.ratio,
        floor_ratio=bar.floor,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of an image: MB of a tool in ours and in the naive one."""

    part: str
    ours: float
    naive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The phases of a start as seen from outside: seconds since the create, medians, in their order."""

    name: str
    phases: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Many cases of one thing, which would drown the table of figures: a row for each, a number in each column."""

    title: str
    columns: tuple[str, ...]  # with their units
    rows: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole run: when, on what kind of machine, on which image, and what came out."""

    date: str
    machine: Mapping[str, str]
    figures: tuple[Figure, ...]
    conditions: tuple[str, ...] = field(default=())  # bases and tools that stood in for others
    notes: tuple[str, ...] = field(default=())  # what could not be measured here, or how it was
    shares: tuple[Share, ...] = field(default=())
    timelines: tuple[Timeline, ...] = field(default=())
    grids: tuple[Grid, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        return {
            "date": self.date,
            "machine": dict(self.machine),
            "conditions": list(self.conditions),
            "notes": list(self.notes),
            "figures": [figure.as_dict() for figure in self.figures],
            "shares": [{"part": item.part, "ours": item.ours, "naive": item.naive} for item in self.shares],
            "grids": [
                {
                    "title": grid.title,
                    "columns": list(grid.columns),
                    "rows": {key: list(row) for key, row in grid.rows.items()},
                }
                for grid in self.grids
            ],
            "timelines": [{"name": item.name, "phases": dict(item.phases)} for item in self.timelines],
        }


def ratio_interval(these: tuple[float, ...], those: tuple[float, ...]) -> tuple[float, float, float]:
    """The ratio of the medians between the 5th and the 95th of 100 that other samples like these would have given.

    A bootstrap: both sides are drawn anew from their own samples, by a generator that is seeded, so that the same
    samples always have the same interval.
    """
    draw = random.Random(len(these) + len(those))  # noqa: S311 (no secret)
    ratios = sorted(
        statistics.median(draw.choices(these, k=len(these))) / statistics.median(draw.choices(those, k=len(those)))
        for _ in range(RESAMPLES)
    )
    middle = statistics.median(these) / statistics.median(those)
    return ratios[RESAMPLES // 20], middle, ratios[-RESAMPLES // 20]


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
