"""What a step is, what became of it, and what a whole run says. Data only; nothing here starts anything."""

from __future__ import annotations

import enum
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Union

# A command with its arguments, or a function without any.
Action = Union[Sequence[str], Callable[[], object]]

# A step's name is also the name of its log file.
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
NAME_RULE: Final = "letters, digits, `_`, `-` and `.`, at most 100, the first one no `-` or `.`"


@dataclass(frozen=True)
class Step:
    """One thing to do. A function runs in a forked process: what it prints is its output, raising is failing.

    timeout: seconds for each attempt. retries: attempts after the first; before the n-th of them `backoff` * 2^(n-1)
    seconds pass. allow_failure: a failure is told, but counts as done for who needs this step and for the exit code.
    """

    name: str
    run: Action
    needs: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    timeout: float | None = None
    retries: int = 0
    backoff: float = 1.0
    allow_failure: bool = False


class State(str, enum.Enum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"  # an exit code, a signal of its own doing, or it could not be started
    TIMED_OUT = "timed-out"
    STOPPED = "stopped"  # ended by us, because another step failed or somebody pressed Ctrl-C
    SKIPPED = "skipped"  # never started


@dataclass(frozen=True)
class StepResult:
    """`start` counts from the start of the run; `seconds` includes every attempt and the waits between them."""

    name: str
    state: State
    code: int | None = None  # as Python says it: -9 is SIGKILL; None when there was no process, or we ended it
    attempts: int = 0
    start: float | None = None
    seconds: float = 0.0
    log: Path | None = None
    reason: str = ""  # for a person: why it did not end well
    allowed: bool = False  # it was allowed to fail

    @property
    def failed(self) -> bool:
        return self.state in (State.FAILED, State.TIMED_OUT) and not self.allowed

    def as_dict(self) -> dict[str, object]:
        return {
            "state": self.state.value,
            "code": self.code,
            "attempts": self.attempts,
            "start": None if self.start is None else round(self.start, 3),
            "seconds": round(self.seconds, 3),
            "log": None if self.log is None else str(self.log),
            "reason": self.reason or None,
            "allowed": self.allowed,
        }


@dataclass(frozen=True)
class Report:
    """A whole run. `chain` is the longest chain: the steps that no number of workers could have shortened."""

    results: Mapping[str, StepResult]  # in the order of the task file
    seconds: float
    chain: Sequence[str]
    chain_seconds: float
    jobs: int
    signal: int | None = None  # the signal that stopped the run

    @property
    def ok(self) -> bool:
        return self.signal is None and not self.failures

    @property
    def failures(self) -> list[StepResult]:
        """What failed and was not allowed to, in the order of failing."""
        failed = [result for result in self.results.values() if result.failed]
        return sorted(failed, key=lambda result: (result.start or 0.0) + result.seconds)

    @property
    def sequential_seconds(self) -> float:
        return sum(result.seconds for result in self.results.values())

    def as_dict(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "interrupted": None if self.signal is None else signal.Signals(self.signal).name,
            "jobs": self.jobs,
            "seconds": round(self.seconds, 3),
            "sequential_seconds": round(self.sequential_seconds, 3),
            "longest_chain": {"seconds": round(self.chain_seconds, 3), "steps": list(self.chain)},
            "steps": {name: result.as_dict() for name, result in self.results.items()},
        }
