"""Where events go: the reporters for lines, JSON and logs, and which one suits a stream."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TextIO

from builder.core.canonical import Plain, make_plain
from builder.core.stages import SILENT_S, Stages
from builder.core.wording import describe_event, describe_step
from builder.model import Event, LogLine, Note, PhaseReached, StepProgress
from builder.redaction import redact

Report = Callable[[Event], None]
Now = Callable[[], float]  # seconds since some moment

PLAIN_EVERY_S: Final = 5.0
DUMB: Final = ("", "dumb", "unknown")  # terminals in which nothing can be drawn anew


class Reporter:
    """Where events go, from several threads at once. `close` leaves the terminal as it was, also when called twice.

    Credentials are taken out here, whoever reported: most of the text is written by apt, pip, npm and git.
    """

    _deaf = False  # nobody reads what is told any more

    def __call__(self, event: Event) -> None:
        self.pass_on(event if isinstance(event, PhaseReached) else replace(event, text=redact(event.text)))

    def pass_on(self, event: Event) -> None:
        """Tell it while somebody listens. `devbox up 2>&1 | head -1` brings the workstation up all the same: talk that
        cannot be written is no failure of the work, and there is nobody left to be told of it."""
        if self._deaf:
            return
        try:
            self.tell(event)
        except OSError:
            self._deaf = True

    def tell(self, event: Event) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to restore unless a live view was drawn."""


def choose_mode(environment: Mapping[str, str], *, terminal: bool) -> str:
    """What `--log auto` means where stderr is a terminal, or is none."""
    drawable = terminal and environment.get("TERM", "") not in DUMB and not environment.get("CI")
    return "live" if drawable else "plain"


def make_reporter(mode: str, stream: TextIO, *, colour: bool, now: Now = time.monotonic) -> Reporter:
    """`mode` is live, plain, json or quiet."""
    match mode:
        case "json":
            return JsonReporter(stream)
        case "live":
            from builder.console.live import LiveReporter

            return LiveReporter(stream, colour=colour, now=now)
        case "quiet":
            return PlainReporter(stream, now=now, only_warnings=True)
        case _:
            return PlainReporter(stream, now=now)


class JsonReporter(Reporter):
    """One JSON object a line, `event` names its kind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # `print` writes the line's end by itself

    def tell(self, event: Event) -> None:
        with self._lock:
            print(json.dumps(event_as_dict(event)), file=self._stream, flush=True)


def event_as_dict(event: Event) -> dict[str, Plain]:
    plain = make_plain(event)
    assert isinstance(plain, dict)  # noqa: S101  # every event is a dataclass
    return {"event": type(event).__name__, **plain}


HOOKS: Final = ("on_create", "on_start")  # whose lines are a person's own, and few


class RecordingReporter(Reporter):
    """Tells another reporter everything, and `keep` what a log of the run is worth: neither the lines of programs, but
    of hooks, nor every step of a count. Its own failures are the log's."""

    def __init__(self, shown: Reporter, keep: Callable[[Mapping[str, object]], None]) -> None:
        self._shown = shown
        self._keep = keep
        self._states: dict[str, str] = {}  # of steps, as they were kept last
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        self._shown.pass_on(event)
        with self._lock:
            if self._is_worth_keeping(event):
                self._keep(event_as_dict(event))

    def _is_worth_keeping(self, event: Event) -> bool:
        match event:
            case LogLine(name=name):
                return name in HOOKS
            case StepProgress(name=name, state=state):
                known, self._states[name] = self._states.get(name), state
                return known != state
            case _:
                return True

    def close(self) -> None:
        self._shown.close()


class PlainReporter(Reporter):
    """Lines that read well in a CI log: a step when it starts, now and then while it runs, and when it ends. A silence
    is explained after ten seconds, after twenty more, and so on."""

    def __init__(self, stream: TextIO, *, now: Now, only_warnings: bool = False) -> None:
        self._stream = stream
        self._only_warnings = only_warnings
        self._now = now
        self._said: dict[str, tuple[str, float]] = {}
        self._stages = Stages()
        self._patience = SILENT_S
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def tell(self, event: Event) -> None:
        with self._lock:
            self._stages.take(event, self._now())
            self._patience = SILENT_S
            line = self._line(event)
            if line is not None and (not self._only_warnings or (isinstance(event, Note) and event.level == "warning")):
                print(line, file=self._stream, flush=True)
            busy = self._stages.is_busy
        if busy and self._watch is None and not self._only_warnings:
            self._watch = threading.Thread(target=self._keep_watch, name="silence", daemon=True)
            self._watch.start()

    def _keep_watch(self) -> None:
        while not self._closed.wait(1.0):
            try:
                self.tick()
            except (OSError, ValueError):  # nobody reads it any more, or the stream is closed
                return

    def tick(self) -> None:
        """Break a silence that has lasted long enough."""
        if self._only_warnings:
            return
        with self._lock:
            now = self._now()
            if now - self._stages.news >= self._patience and (silence := self._stages.explain_silence(now)):
                self._patience *= 3
                print(f"  … {': '.join(silence)}", file=self._stream, flush=True)

    def close(self) -> None:
        self._closed.set()

    def _line(self, event: Event) -> str | None:
        match event:
            case StepProgress():
                return self._step_line(event)
            case LogLine(name=name):
                return f"  {event.text}" if name in HOOKS else None
            case _:
                return describe_event(event)

    def _step_line(self, event: StepProgress) -> str | None:
        state, when = self._said.get(event.name, ("", 0.0))
        now = self._now()
        if state == event.state and now - when < PLAIN_EVERY_S:
            return None
        self._said[event.name] = (event.state, now)
        return "  " + describe_step(event)
