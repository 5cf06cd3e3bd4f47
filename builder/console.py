"""Events become what a person or a program reads: a live view, plain lines, or JSON lines. Talk goes to stderr.

Owns all wording of progress. Must not decide anything about the work, and knows no adapter. rich is imported only where
a live view is drawn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TextIO

from builder.core.canonical import make_plain
from builder.model import Event, LogLine, Note, PhaseReached, StepProgress, TaskEnded, TaskStarted
from builder.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Report = Callable[[Event], None]

MARKS: Final[Mapping[str, str]] = {"info": "·", "warning": "!", "done": "✓"}
STATE_MARKS: Final[Mapping[str, str]] = {"running": "…", "cached": "=", "done": "✓", "failed": "✗", "canceled": "-"}
PLAIN_EVERY_S: Final = 5.0
BAR_WIDTH: Final = 20


class Reporter:
    """Where events go. `close` leaves the terminal as it was; it is safe to call it twice.

    Credentials are taken out here, whoever reported: most of the text is written by apt, pip, npm and git.
    """

    def __call__(self, event: Event) -> None:
        self.tell(event if isinstance(event, PhaseReached) else replace(event, text=redact(event.text)))

    def tell(self, event: Event) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to restore unless a live view was drawn."""


def make_reporter(mode: str, stream: TextIO, *, colour: bool) -> Reporter:
    """`mode` is live, plain, json or quiet."""
    match mode:
        case "json":
            return JsonReporter(stream)
        case "live":
            return LiveReporter(stream, colour=colour)
        case "quiet":
            return PlainReporter(stream, only_warnings=True)
        case _:
            return PlainReporter(stream)


class JsonReporter(Reporter):
    """One JSON object a line, `event` names its kind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def tell(self, event: Event) -> None:
        plain = make_plain(event)
        assert isinstance(plain, dict)  # noqa: S101  # every event is a dataclass
        print(json.dumps({"event": type(event).__name__, **plain}), file=self._stream, flush=True)


class PlainReporter(Reporter):
    """Lines that read well in a CI log: a step when it starts, now and then while it runs, and when it ends."""

    def __init__(self, stream: TextIO, *, only_warnings: bool = False) -> None:
        self._stream = stream
        self._only_warnings = only_warnings
        self._said: dict[str, tuple[str, float]] = {}

    def tell(self, event: Event) -> None:
        line = self._line(event)
        if line is not None and (not self._only_warnings or (isinstance(event, Note) and event.level == "warning")):
            print(line, file=self._stream, flush=True)

    def _line(self, event: Event) -> str | None:
        match event:
            case StepProgress():
                return self._step_line(event)
            case LogLine():
                return None
            case _:
                return describe_event(event)

    def _step_line(self, event: StepProgress) -> str | None:
        state, when = self._said.get(event.name, ("", 0.0))
        now = time.monotonic()
        if state == event.state and now - when < PLAIN_EVERY_S:
            return None
        self._said[event.name] = (event.state, now)
        return "  " + describe_step(event)


def describe_event(event: Event) -> str | None:
    """One line for an event that is worth one, else None."""
    match event:
        case Note(text=text, level=level):
            return f"{MARKS[level]} {text}"
        case TaskStarted(text=text):
            return f"▸ {text}"
        case TaskEnded(text=text, seconds=seconds, failed=failed):
            return f"{'✗' if failed else '✓'} {text} ({seconds:.1f} s)"
        case PhaseReached(phase=phase, seconds=seconds):
            return f"  ✓ {phase} after {seconds:.2f} s"
        case StepProgress():
            return "  " + describe_step(event)
        case LogLine():
            return None


def describe_step(event: StepProgress) -> str:
    amount = ""
    if event.total:
        amount = f", {_amount(event.done, event.unit)} of {_amount(event.total, event.unit)} {event.unit}".rstrip()
        if event.unit == "bytes":
            amount = amount.removesuffix(" bytes")
    seconds = f" ({event.seconds:.1f} s)" if event.seconds >= 0.05 else ""
    cached = " unchanged" if event.state == "cached" else ""
    return f"{STATE_MARKS[event.state]} {event.name}: {event.text}{amount}{cached}{seconds}"


def draw_bar(event: StepProgress) -> str:
    """How much of it is done, where that is known."""
    if not event.total:
        return ""
    filled = BAR_WIDTH * min(event.done, event.total) // event.total
    return f"{'━' * filled}{'╌' * (BAR_WIDTH - filled)} "


def _amount(value: int, unit: str) -> str:
    return f"{value / 1e6:.1f} MB" if unit == "bytes" else str(value)


class LiveReporter(Reporter):
    """What is running now, redrawn in place; what is done scrolls away above it as one line."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(file=stream, no_color=not colour, highlight=False, soft_wrap=True)
        self._running: dict[str, tuple[StepProgress, float]] = {}
        self._task: tuple[str, float] | None = None
        self._live = Live(
            console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw, auto_refresh=True
        )
        self._started = False

    def tell(self, event: Event) -> None:
        if not self._started:
            self._started = True
            self._live.start()
        match event:
            case StepProgress(state="running"):
                _, since = self._running.get(event.name, (event, time.monotonic()))
                self._running[event.name] = (event, since)
            case StepProgress():
                self._running.pop(event.name, None)
                self._print(event)
            case TaskStarted():
                self._task = (event.text, time.monotonic())
                self._running.clear()
            case TaskEnded():
                self._task = None
                self._running.clear()
                self._print(event)
            case _:
                self._print(event)

    def close(self) -> None:
        if self._started:
            self._started = False
            self._live.stop()

    def _print(self, event: Event) -> None:
        line = describe_event(event)
        if line is not None:
            style = "yellow" if isinstance(event, Note) and event.level == "warning" else None
            self._console.print(line, style=style, markup=False)

    def _draw(self) -> RenderableType:
        from rich.spinner import Spinner
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        if self._task:
            text, since = self._task
            table.add_row(Spinner("dots"), f"{text} {now - since:.0f} s")
        for event, since in self._running.values():
            table.add_row("", f"{draw_bar(event)}{describe_step(event)} {now - since:.0f} s")
        return table
