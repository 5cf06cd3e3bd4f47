"""Events in words: plain lines, JSON lines, the live view. Nothing is said twice, and no secret at all."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace

import pytest

from builder.console import choose_mode, make_reporter
from builder.console.reporters import PlainReporter
from builder.core.wording import describe_event, describe_step, draw_bar
from builder.model import Event, LogLine, Note, PhaseReached, StepProgress, TaskEnded, TaskStarted

EVENTS: tuple[Event, ...] = (
    TaskStarted(name="build", text="build devbox/x:1"),
    StepProgress(name="apt", text="41 packages", state="running", done=3, total=41, unit="packages"),
    LogLine(name="apt", text="Unpacking git"),
    StepProgress(name="apt", text="41 packages", state="done", seconds=12.34),
    TaskEnded(name="build", text="devbox/x:1 built", seconds=20.0),
    PhaseReached(phase="panel", seconds=0.456),
    Note(text="port 5901 is taken", level="warning"),
)


def written(mode: str, *events: Event) -> str:
    stream = io.StringIO()
    reporter = make_reporter(mode, stream, colour=False)
    for event in events:
        reporter(event)
    reporter.close()
    reporter.close()
    return stream.getvalue()


def test_plain_lines_tell_the_whole_story() -> None:
    assert written("plain", *EVENTS).splitlines() == [
        "▸ build devbox/x:1",
        "  … apt: 41 packages, 3 of 41 packages",
        "  ✓ apt: 41 packages (12.3 s)",
        "✓ devbox/x:1 built (20.0 s)",
        "  ✓ panel after 0.46 s",
        "! port 5901 is taken",
    ]


def test_what_a_hook_writes_is_shown_in_plain_lines_too() -> None:
    assert written("plain", LogLine(name="on_create", text="3 packages added")) == "  3 packages added\n"


def test_plain_lines_do_not_repeat_a_step_that_only_moves_on() -> None:
    moving = [StepProgress(name="apt", text="x", state="running", done=done, total=99) for done in range(50)]
    assert len(written("plain", *moving).splitlines()) == 1


def test_quiet_says_warnings_only() -> None:
    assert written("quiet", *EVENTS) == "! port 5901 is taken\n"


def test_json_is_one_object_a_line_and_names_the_event() -> None:
    lines = [json.loads(line) for line in written("json", *EVENTS).splitlines()]
    assert [line["event"] for line in lines] == [type(event).__name__ for event in EVENTS]
    assert lines[1] == {
        "event": "StepProgress", "name": "apt", "text": "41 packages", "state": "running", "seconds": 0.0, "done": 3,
        "total": 41, "unit": "packages",
    }  # fmt: skip


class TornStream(io.StringIO):
    """Another thread tells of something as soon as this one has written the first part of its line."""

    def __init__(self) -> None:
        super().__init__()
        self.other: threading.Thread | None = None

    def write(self, text: str) -> int:
        written = super().write(text)
        other, self.other = self.other, None
        if other is not None:
            other.start()
            other.join(0.2)  # one that has to wait for us cannot end
        return written


def test_json_of_two_threads_at_once_stays_one_object_a_line() -> None:
    stream = TornStream()
    report = make_reporter("json", stream, colour=False)
    other = threading.Thread(target=report, args=(Note(text="two"),))
    stream.other = other
    report(Note(text="one"))
    other.join()
    assert [json.loads(line)["text"] for line in stream.getvalue().splitlines()] == ["one", "two"]


def test_an_unknown_mode_is_plain() -> None:
    assert written("auto", Note(text="x")) == "· x\n"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (StepProgress(name="a", text="t", state="cached"), "= a: t unchanged"),
        (StepProgress(name="a", text="t", state="failed", seconds=1.0), "✗ a: t (1.0 s)"),
        (StepProgress(name="a", text="t", state="canceled"), "- a: t"),
        (
            StepProgress(name="a", text="pull", state="running", done=1_500_000, total=3_000_000, unit="bytes"),
            "… a: pull, 1.5 MB of 3.0 MB",
        ),
        (StepProgress(name="a", text="t", state="running", done=5), "… a: t"),
    ],
)
def test_a_step_in_words(event: StepProgress, words: str) -> None:
    assert describe_step(event) == words


def test_a_failed_task_is_marked() -> None:
    assert describe_event(TaskEnded(name="b", text="the build failed", seconds=1.0, failed=True)) == (
        "✗ the build failed (1.0 s)"
    )


def test_the_live_view_leaves_of_a_task_how_it_ended() -> None:
    assert written("live", *EVENTS) == "✓ devbox/x:1 built (20.0 s)\n  ✓ panel after 0.46 s\n! port 5901 is taken\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_explain_a_silence_and_then_are_patient() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = PlainReporter(stream, now=clock)
    reporter(TaskStarted(name="build", text="build"))
    reporter(StepProgress(name="apt", text="41 packages", state="running"))
    for clock.now in (9.9, 10.0, 11.0, 29.0, 30.0, 31.0):
        reporter.tick()
    reporter(LogLine(name="apt", text="Get:1 git"))
    for clock.now in (40.9, 41.0):
        reporter.tick()
    reporter(TaskEnded(name="build", text="built", seconds=42.0))
    clock.now = 100.0
    reporter.tick()
    reporter.close()
    look = ": `devbox doctor` in another terminal looks at engine, disk and sources"
    assert [line for line in stream.getvalue().splitlines() if "no news" in line] == [
        f"  … no news for {seconds} s, still waiting for apt{look}" for seconds in (10, 30, 10)
    ]


def test_quiet_stays_quiet() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = PlainReporter(stream, now=clock, only_warnings=True)
    reporter(TaskStarted(name="build", text="build"))
    clock.now = 60.0
    reporter.tick()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("environment", "terminal", "mode"),
    [
        ({"TERM": "xterm"}, True, "live"),
        ({"TERM": "xterm"}, False, "plain"),
        ({"TERM": "xterm", "CI": "true"}, True, "plain"),
        ({"TERM": "dumb"}, True, "plain"),
        ({}, True, "plain"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, "live"),
    ],
)
def test_a_tree_is_drawn_where_lines_can_be_drawn_anew(environment: dict[str, str], terminal: bool, mode: str) -> None:
    assert choose_mode(environment, terminal=terminal) == mode


def test_the_live_view_takes_brackets_as_they_are() -> None:
    assert "a [bold]b[/bold] [/nope]" in written("live", Note(text="a [bold]b[/bold] [/nope]"))


def test_a_bar_shows_how_much_is_done() -> None:
    step = StepProgress(name="checks", text="typing", state="running", done=5, total=10, unit="checks")

    assert draw_bar(step) == "━" * 10 + "╌" * 10 + " "
    assert draw_bar(replace(step, done=99)) == "━" * 20 + " "
    assert draw_bar(replace(step, total=0)) == ""
