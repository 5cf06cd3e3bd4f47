"""What a run tells while it goes on, and to whom. The base class says nothing: it is the watcher of the Python API."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coditect.steps.model import StepResult


@dataclass(frozen=True)
class Running:
    """A step that is at work, or waits for its next attempt (`waits`)."""

    name: str
    seconds: float
    attempt: int
    attempts: int  # that it may have
    last_line: str = ""
    waits: bool = False


@dataclass(frozen=True)
class Progress:
    """A moment of a run."""

    total: int
    seconds: float
    running: tuple[Running, ...] = ()
    done: int = 0
    failed: tuple[str, ...] = ()
    stopping: str = ""  # why nothing new starts

    @property
    def waiting(self) -> int:
        return self.total - self.done - len(self.failed) - len(self.running)


class Watcher:
    """Told what happens, in the order in which it does. `interval`: seconds between two calls of `tick`."""

    interval: float = math.inf

    def started(self, name: str, attempt: int) -> None:
        """An attempt has begun."""

    def retrying(self, name: str, reason: str, wait: float) -> None:
        """An attempt has failed; another one follows after `wait` seconds."""

    def ended(self, result: StepResult) -> None:
        """A step has ended for good."""

    def stopping(self, reason: str) -> None:
        """Nothing new starts any more."""

    def tick(self, progress: Callable[[], Progress]) -> None:
        """Time has passed."""

    def close(self) -> None:
        """The run is over, or broken off."""
