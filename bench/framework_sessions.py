"""Measures of `coditect sessions ingest`: time and memory next to two baselines, and a curve over 10 GB.

Each sample is a process of its own with a store of its own; what it took is what the kernel says when it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Figure
from bench.framework_baselines import hash_line
from bench.framework_data import Shape, write_sessions
from bench.stand import CommandFailed

GOAL_SECONDS: Final = 4.0
GOAL_MB: Final = 100
GOAL_AGAIN: Final = 0.3
LARGE: Final = Shape(messages=674_331, bytes=10_000_000_000)
GB: Final = 10**9
SAMPLE_S: Final = 0.02

PACKAGE: Final = Path(__file__).parents[1] / "images" / "frameworks" / "coditect"
COST_OF: Final = Path(__file__).with_name("cost_of.py")
OURS: Final = "coditect"
NAIVE: Final = "the loop that loads everything"
STREAMING: Final = "the loop that parses every line, then hashes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    seconds: float
    peak_mb: float


def measure_framework_sessions(stand: object, rounds: int) -> list[Figure]:
    """107,893 messages, 1.6 GB, 93 % duplicates. The baselines take long: one sample of each."""
    shape = Shape()
    costs: dict[str, list[Cost]] = {name: [] for name in (OURS, "again", "naive", "streaming")}
    with _data(shape) as (data, work):
        for number in range(max(2, rounds // 2)):
            hashes = set()
            for name in (OURS, "naive", "streaming") if number == 0 else (OURS,):
                target = work / f"{name}-{number}"
                target.mkdir()
                costs[name].append(_run(_command(name, data, target)))
                if name == OURS:
                    costs["again"] += [_run(_command(name, data, target)) for _ in range(3)]
                hashes.add(_hashes(name, target))
            if len(hashes) > 1:
                raise CommandFailed("the baselines and coditect do not keep the same messages")
    return list(_figures(shape, costs))


def _figures(shape: Shape, costs: dict[str, list[Cost]]) -> Iterator[Figure]:
    seconds = {name: tuple(cost.seconds for cost in each) for name, each in costs.items()}
    peaks = {name: tuple(cost.peak_mb for cost in each) for name, each in costs.items()}
    data = f"{shape.messages:,} messages, {shape.bytes / GB:.1f} GB, {100 * (1 - shape.distinct):.0f} % duplicates"
    for name, baseline in (("naive", NAIVE), ("streaming", STREAMING)):
        yield Figure(
            name=f"sessions-{name}", what=f"`coditect sessions ingest`: {data}", unit="s", values=seconds[OURS],
            target=GOAL_SECONDS, baseline=baseline, baseline_values=seconds[name],
        )  # fmt: skip
        yield Figure(
            name=f"sessions-memory-{name}", what="the same, peak of resident memory", unit="MB", values=peaks[OURS],
            target=GOAL_MB, baseline=baseline, baseline_values=peaks[name],
        )  # fmt: skip
    yield Figure(
        name="sessions-rate", what="the same, thousands of messages in a second (goal: at least 25)", unit="k/s",
        values=tuple(shape.messages / 1000 / value for value in seconds[OURS]), baseline=STREAMING,
        baseline_values=tuple(shape.messages / 1000 / value for value in seconds["streaming"]),
    )  # fmt: skip
    yield Figure(
        name="sessions-again", what="the same once more, nothing new, with the start of Python", unit="s",
        values=seconds["again"], target=GOAL_AGAIN, baseline=f"{STREAMING}, once more",
        baseline_values=seconds["streaming"],
    )  # fmt: skip


def measure_framework_10gb(stand: object, rounds: int) -> list[Figure]:
    """One run over 10 GB, watched: the values of both figures are a curve, one value for each GB (and the rest)."""
    with _data(LARGE) as (data, work):
        steps = list(_watch(_command(OURS, data, work)))
    _print_curve(steps)
    data_words = f"{LARGE.messages:,} messages, {LARGE.bytes / GB:.0f} GB"
    return [
        Figure(
            name="sessions-10gb-memory", what=f"resident memory, its peak in each GB of {data_words}", unit="MB",
            values=tuple(step.peak_mb for step in steps), target=GOAL_MB,
        ),
        Figure(
            name="sessions-10gb-seconds", what=f"seconds for each GB of {data_words}", unit="s",
            values=tuple(step.seconds for step in steps[:-1]),
        ),
    ]  # fmt: skip


@contextmanager
def _data(shape: Shape) -> Iterator[tuple[Path, Path]]:
    """Session files of this shape, and a folder to work in; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="devbox-bench-sessions-") as name:
        data, work = Path(name) / "data", Path(name) / "work"
        data.mkdir()
        work.mkdir()
        write_sessions(data, shape)
        os.sync()  # the writing of the data should not be measured
        yield data, work


def _command(name: str, data: Path, target: Path) -> list[str]:
    if name == OURS:
        words = ["coditect", "sessions", "ingest", "--quiet", "--store", str(target), str(data)]
    else:
        words = ["bench.framework_baselines", name, str(data), str(target)]
    return [sys.executable, "-m", *words]


def _hashes(name: str, target: Path) -> frozenset[str]:
    """The ids that were kept; worked out anew from what was written."""
    folder = target / "context-storage" if name == OURS else target
    with (folder / "unified_messages.jsonl").open("rb") as file:
        return frozenset(hash_line(line[:-1]) for line in file)


def _run(command: Sequence[str]) -> Cost:
    done = subprocess.run(
        [sys.executable, "-S", str(COST_OF), *command], env=_environment(), stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}")
    return Cost(**json.loads(done.stdout))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE)}


def _watch(command: Sequence[str]) -> Iterator[Cost]:
    """What each GB that a process reads takes: seconds, and the highest resident memory that was seen meanwhile."""
    process = subprocess.Popen(command, env=_environment())
    since, peak, read = time.perf_counter(), 0.0, GB
    while process.poll() is None:
        seen = _look(process.pid)
        if seen is None:
            continue  # it is ending
        peak = max(peak, seen.resident_mb)
        if seen.read >= read:
            now = time.perf_counter()
            yield Cost(seconds=now - since, peak_mb=peak)
            since, peak, read = now, 0.0, read + GB
        time.sleep(SAMPLE_S)
    yield Cost(seconds=time.perf_counter() - since, peak_mb=peak)
    if process.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A process at one moment."""

    read: int
    resident_mb: float


def _look(number: int) -> Sight | None:
    folder = Path("/proc") / str(number)
    try:
        pages = int((folder / "statm").read_text().split()[1])
        read = int((folder / "io").read_text().split()[1])  # rchar
    except (OSError, IndexError):
        return None
    return Sight(read=read, resident_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def _print_curve(steps: Sequence[Cost]) -> None:
    print("GB read  peak MB  seconds", file=sys.stderr)
    for number, step in enumerate(steps, 1):
        print(f"{number:7}  {step.peak_mb:7.1f}  {step.seconds:7.2f}", file=sys.stderr)
