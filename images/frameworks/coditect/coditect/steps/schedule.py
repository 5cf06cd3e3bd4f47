"""Which step may start next. Knows no process and no clock."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from coditect.steps.graph import count_followers, in_order
from coditect.steps.model import State, Step, StepResult


class Schedule:
    """Hands out each step once all it needs is done; of several the one with the longest row of followers first."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = {step.name: step for step in steps}
        self._needs = {step.name: tuple(step.needs) for step in steps}
        followers = count_followers(self._needs)
        self._ranks = {name: (-followers[name], place) for place, name in enumerate(self._steps)}
        self._sorter = TopologicalSorter(self._needs)
        self._sorter.prepare()
        self._ready: list[tuple[tuple[int, int], str]] = []
        self._collect()

    def take(self) -> Step | None:
        """The next step to start; None when none may start now."""
        return self._steps[heapq.heappop(self._ready)[1]] if self._ready else None

    def give_back(self, step: Step) -> None:
        """It may start once more."""
        heapq.heappush(self._ready, (self._ranks[step.name], step.name))

    def succeed(self, name: str) -> None:
        """What needs the step may go on."""
        self._sorter.done(name)
        self._collect()

    def skip_rest(self, results: Mapping[str, StepResult], stopped: str) -> list[StepResult]:
        """The steps without a result, each with the reason: a need that did not end well, or the stop of the run."""
        states = {name: result.state for name, result in results.items() if not result.allowed}
        skipped = []
        for name in in_order(self._needs):
            if name not in results:
                bad = next((need for need in self._needs[name] if states.get(need, State.DONE) is not State.DONE), "")
                reason = f"needs {bad!r}, which {_said(states[bad])}" if bad else stopped
                states[name] = State.SKIPPED
                skipped.append(StepResult(name, State.SKIPPED, reason=reason))
        return skipped

    def _collect(self) -> None:
        for name in self._sorter.get_ready():
            heapq.heappush(self._ready, (self._ranks[name], name))


def _said(state: State) -> str:
    return {State.TIMED_OUT: "timed out", State.STOPPED: "was stopped", State.SKIPPED: "was skipped"}.get(
        state, state.value
    )
