"""What a build says of its instructions, told as progress of our steps; its failure, by where the step comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.core.progress import AptProgress
from builder.errors import BuildError, DevboxError
from builder.model import BuildEvent, LogLine, Note, Step, StepProgress
from builder.tasks.packages import GONE, OURS, explain_gone

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.tasks.packages import Gone


@dataclass(slots=True)
class BuildNarrator:
    """Turns what the builder says of its instructions into progress of our steps."""

    context: Context
    steps: Callable[[str], Step | None]  # vertex name -> step
    sizes: Mapping[str, int]  # step -> number of its instructions
    packages: dict[str, AptProgress] = field(default_factory=dict)
    ended: dict[str, list[BuildEvent]] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)

    def __call__(self, event: BuildEvent) -> None:
        step = self.steps(event.vertex)
        if step is None:
            return
        if event.log:
            self._log(step, event)
        else:
            self._state(step, event)

    def _log(self, step: Step, event: BuildEvent) -> None:
        self.context.report(LogLine(name=step.name, text=event.log))
        if gone := GONE.match(event.log):
            self.gone.append((gone[1], gone[2], gone[3]))
        elif event.log.startswith(OURS):  # of a program of ours, for whoever does not read logs
            self.context.report(Note(text=f"{step.name}: {event.log.removeprefix(OURS)}", level="warning"))
        if step.kind != "apt":
            return
        progress = self.packages.setdefault(step.name, AptProgress())
        if progress.read(event.log):
            self._report(step, "running", done=progress.done, total=progress.total)

    def _state(self, step: Step, event: BuildEvent) -> None:
        """A step of several instructions is told as one: it runs from its first to its last."""
        if event.state not in ("done", "cached"):
            self._report(step, event.state, seconds=event.seconds)
            return
        ended = self.ended.setdefault(step.name, [])
        ended.append(event)
        if len(ended) == self.sizes.get(step.name, 1):
            state = "cached" if all(item.state == "cached" for item in ended) else "done"
            self._report(step, state, seconds=sum(item.seconds for item in ended))

    def _report(self, step: Step, state: str, *, seconds: float = 0.0, done: int = 0, total: int = 0) -> None:
        self.context.report(
            StepProgress(
                name=step.name, text=step.summary, state=state, seconds=seconds, done=done, total=total, unit="packages"
            )
        )

    def explain(self, error: BuildError) -> DevboxError:
        """The same failure, told by the catalogue file that the step comes from, or by the lock."""
        if self.gone:
            return explain_gone(self.gone)
        step = self.steps(error.where or "")
        if step is None:
            return error
        return BuildError(
            f"the step `{step.name}` failed: {error.message}",
            where=step.origin,
            detail=error.detail,
            hint=error.hint or f"the step is {step.summary}; change it there, or take the tool out of devbox.yaml",
        )
