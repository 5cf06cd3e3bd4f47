"""The work that is under way, as a tree: tasks, the steps that run in each side by side, and what was said last.

Pure: events and moments in, lines out. Owns what of it is worth a line, what is left of a task when it is done, and
when a silence has to be explained. Must not know a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from builder.core.wording import describe_event, describe_step, draw_bar
from builder.model import Event, LogLine, PhaseReached, StepProgress, TaskEnded, TaskStarted

SILENT_S: Final = 10.0  # without news, until it is said what is waited for
NARROW: Final = 60  # columns: below that there is room for names and numbers only
SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
STARTING: Final = "start"  # the task after whose end the workstation itself is waited for
READY: Final = "wait until it can be used"
LOOKS: Final = {
    STARTING: "`devbox logs` in another terminal shows what it writes",
    "": "`devbox doctor` in another terminal looks at engine, disk and sources",
}


@dataclass(slots=True)
class Step:
    event: StepProgress
    since: float

    @property
    def runs(self) -> bool:
        return self.event.state == "running"

    def lasted(self, now: float) -> float:
        return now - self.since if self.runs else self.event.seconds


@dataclass(slots=True)
class Task:
    name: str
    text: str
    since: float
    steps: dict[str, Step] = field(default_factory=dict)
    phases: list[str] = field(default_factory=list)  # of the workstation's start, as they came
    last: str = ""  # line of a program

    def slowest(self) -> str:
        """The step that took longest, where there were several."""
        done = [step.event for step in self.steps.values() if step.event.seconds >= 1]
        if len(self.steps) < 2 or not done:
            return ""
        event = max(done, key=lambda event: event.seconds)
        return f"; slowest: {event.name}, {event.seconds:.1f} s"


@dataclass(slots=True)
class Stages:
    """What runs now. Steps belong to the task that began last; those before any, to none."""

    tasks: dict[str, Task] = field(default_factory=dict)
    loose: dict[str, Step] = field(default_factory=dict)
    news: float = 0.0  # the moment of the last event

    @property
    def is_busy(self) -> bool:
        return bool(self.tasks) or any(step.runs for step in self.loose.values())

    def take(self, event: Event, now: float) -> str | None:
        """The line that is left of it for good: how a task ended, and none of one that only moves on."""
        self.news = now
        task = next(iter(self._last_task()), None)
        match event:
            case TaskStarted():
                self.tasks.pop(STARTING, None)  # it can be used, or another one is started
                self.tasks[event.name] = Task(name=event.name, text=event.text, since=now)
                return None
            case TaskEnded():
                return self._end(event, now)
            case StepProgress():
                return self._move(event, task.steps if task else self.loose, now)
            case LogLine() if task:
                task.last = "".join(sign for sign in event.text if sign.isprintable())
            case PhaseReached() if task:
                task.phases.append(event.phase)
                return None
        return describe_event(event)

    def _end(self, event: TaskEnded, now: float) -> str | None:
        task = self.tasks.pop(event.name, None)
        if event.name == STARTING and not event.failed:
            self.tasks[STARTING] = Task(name=STARTING, text=READY, since=now)
        line = describe_event(event)
        slowest = task.slowest() if task else ""
        return f"{line.removesuffix(')')}{slowest})" if line and slowest else line

    def _move(self, event: StepProgress, steps: dict[str, Step], now: float) -> str | None:
        known = steps.get(event.name)
        steps[event.name] = Step(event=event, since=known.since if known else now)
        if steps is self.loose and event.state != "running":
            del self.loose[event.name]
            return describe_event(event)
        return describe_event(event) if event.state == "failed" else None

    def _last_task(self) -> Sequence[Task]:
        return list(self.tasks.values())[-1:]

    # ------------------------------------------------------------------------------------------------ a look

    def explain_silence(self, now: float) -> tuple[str, ...]:
        """What is waited for, and how to look, after a while without news; else nothing."""
        if not self.is_busy or now - self.news < SILENT_S:
            return ()
        running = [step.event.name for step in self._steps() if step.runs]
        waited = ", ".join(running) or ", ".join(task.text for task in self.tasks.values())
        look = LOOKS.get(next((task.name for task in self._last_task()), ""), LOOKS[""])
        return f"no news for {elapsed(now - self.news)}, still waiting for {waited}", look

    def _steps(self) -> Iterator[Step]:
        yield from self.loose.values()
        for task in self.tasks.values():
            yield from task.steps.values()

    def draw(self, now: float, *, width: int, height: int) -> list[str]:
        """As many lines as a terminal of this height has room for, without the lines' ends cut to its width."""
        narrow = width < NARROW
        silence = self.explain_silence(now)
        room = max(1, height - 1 - len(silence))
        lines = [_draw_step(step, now, narrow) for step in self.loose.values()]
        for task in self.tasks.values():
            spin, lasted = SPINNER[int(now * 8) % len(SPINNER)], elapsed(now - task.since)
            lines.append(f"{spin} {lasted} {task.text}" if narrow else f"{spin} {task.text}  {lasted}")
            lines += self._draw_steps(task, now, narrow, room - len(lines))
        return [*lines[:room], *silence][: max(1, height - 1)]

    def _draw_steps(self, task: Task, now: float, narrow: bool, room: int) -> list[str]:
        """Those that run are shown before those that are done, of which only a number is left where room lacks."""
        shown = list(task.steps.values())
        told = [_draw_step(step, now, narrow) for step in shown]
        if len(shown) > room:
            done = sum(not step.runs for step in shown)
            told = [f"✓ {done} done"] if done else []
            told += [_draw_step(step, now, narrow) for step in shown if step.runs]
        if task.last and any(step.runs for step in shown) and len(told) < room and not narrow:
            told.append(f"  {task.last}")
        if task.phases and len(told) < room:
            told.append(f"✓ {', '.join(task.phases)}")
        branches = ["├─ "] * (len(told) - 1) + ["└─ "]
        return [f"{branch}{line}" for branch, line in zip(branches, told, strict=False)]


def _draw_step(step: Step, now: float, narrow: bool) -> str:
    event, seconds = step.event, elapsed(step.lasted(now))
    if narrow:
        mark = "…" if step.runs else "✓"
        share = f"{100 * min(event.done, event.total) // event.total} %" if event.total and step.runs else ""
        return " ".join(part for part in (mark, event.name, share, seconds) if part)
    if not step.runs:
        return describe_step(event)
    return f"{draw_bar(event)}{describe_step(event)}  {seconds}"


def elapsed(seconds: float) -> str:
    """34 s, 2 min 05 s."""
    whole = int(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02} s"
