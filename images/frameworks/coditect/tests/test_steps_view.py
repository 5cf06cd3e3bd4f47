"""The live view: what it shows of a moment, and that it leaves nothing behind on the terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.errors import UsageError
from coditect.steps.model import State, StepResult
from coditect.steps.view import clip, count_rows, display_width, render
from coditect.steps.watcher import Progress, Running, Watcher
from coditect.steps.watchers import LiveWatcher, PlainWatcher, choose_watcher

END = "\x05"
BUILD = Running("build", 12.3, 1, 1, "Compiling foo.c")
FLAKY = Running("flaky", 0.5, 2, 3, "exit code 1", waits=True)
MOMENT = Progress(total=9, seconds=75, running=(BUILD, FLAKY), done=3, failed=("lint",))


def test_a_moment_is_a_headline_and_a_line_for_each_running_step() -> None:
    assert render(MOMENT, 80, 24, colour=False) == [
        "3 of 9 done, 2 running, 3 waiting, 1 failed  1 m 15 s",
        "  build      12 s  Compiling foo.c",
        "  flaky    0.50 s  [attempt 2 of 3]  waits for another attempt:  exit code 1",
    ]


def test_colour_changes_nothing_but_colour() -> None:
    coloured = render(MOMENT, 60, 24, colour=True)
    assert "\x1b[31m, 1 failed\x1b[0m" in coloured[0]
    assert [re.sub(r"\x1b\[\d*m", "", line) for line in coloured] == render(MOMENT, 60, 24, colour=False)


def test_a_low_terminal_shows_as_many_steps_as_it_has_room_for() -> None:
    many = Progress(total=20, seconds=1, running=tuple(Running(f"s{n}", 1, 1, 1) for n in range(20)))
    lines = render(many, 80, 6, colour=False)
    assert [line.split()[0] for line in lines] == ["0", "s0", "s1", "s2", "and"]
    assert lines[-1] == "  and 17 more"


@settings(deadline=None)
@given(
    st.lists(st.builds(Running, st.text(max_size=40), st.floats(0, 1e5), st.just(2), st.just(3), st.text(max_size=90))),
    st.integers(1, 100), st.integers(1, 30), st.booleans(),
)  # fmt: skip
def test_a_view_always_fits_its_terminal(running: list[Running], width: int, height: int, colour: bool) -> None:
    lines = render(Progress(99, 1.0, tuple(running)), width, height, colour)
    assert len(lines) <= max(1, height - 1)
    assert all(display_width(re.sub(r"\x1b\[\d*m", "", line)) <= width for line in lines)


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    assert display_width("日本e\N{COMBINING ACUTE ACCENT}") == 5
    assert clip("日本語", 5) == "日本"


def test_a_terminal_that_got_narrower_has_wrapped_the_lines() -> None:
    assert count_rows([80, 10, 0], 40) == 4


class Terminal:
    """A pseudo-terminal, and what its screen shows: enough of one for carriage return, cursor up and erasing."""

    def __init__(self, columns: int) -> None:
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))

    def screen(self) -> list[str]:
        """All that was written, drawn."""
        rows, row = [""], 0
        for word in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self._read()):
            if word == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif up := re.fullmatch(r"\x1b\[(\d+)A", word):
                row -= int(up[1])
            elif word == "\x1b[J":
                del rows[row + 1 :]
                rows[row] = ""
            elif not word.startswith(("\x1b", "\r")):
                rows[row] = word  # a line is always written whole, then erased to its end
        return rows

    def _read(self) -> str:
        """All that was written: the kernel hands it over piece by piece, so up to a mark of our own."""
        self.stream.write(END)
        self.stream.flush()
        seen = b""
        while END.encode() not in seen:
            seen += os.read(self._master, 2**16)
        return seen.decode().partition(END)[0]

    def close(self) -> None:
        self.stream.close()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(60)
    yield made
    made.close()


def test_frames_replace_each_other_failures_stay_and_the_end_leaves_nothing_else(terminal: Terminal) -> None:
    watcher = LiveWatcher(terminal.stream, colour=False)
    watcher.tick(lambda: MOMENT)
    watcher.ended(StepResult("done", State.DONE))
    watcher.ended(StepResult("lint", State.FAILED, reason="exit code 1", seconds=2))
    watcher.tick(lambda: Progress(total=9, seconds=76, running=(BUILD,), done=4))
    watcher.close()
    assert terminal.screen() == ["lint: exit code 1, after 2.0 s", ""]


def test_the_frame_that_is_shown_is_the_last_one(terminal: Terminal) -> None:
    watcher = LiveWatcher(terminal.stream, colour=False)
    watcher.tick(lambda: MOMENT)
    watcher.tick(lambda: Progress(total=9, seconds=76, running=(BUILD,), done=4))
    assert terminal.screen() == [
        "4 of 9 done, 1 running, 4 waiting  1 m 16 s",
        "  build      12 s  Compiling foo.c",
        "",
    ]


def test_a_narrower_terminal_is_used_from_the_next_frame_on(terminal: Terminal) -> None:
    watcher = LiveWatcher(terminal.stream, colour=False)
    terminal.resize(20)
    watcher.tick(lambda: MOMENT)
    assert terminal.screen() == ["3 of 9 done, 2 runn", "  build      12 s  ", "  flaky    0.50 s  ", ""]


def test_plain_prints_whole_outputs_one_after_the_other(tmp_path: Path) -> None:
    stream = io.StringIO()
    watcher = PlainWatcher(stream)
    for name, text in (("a", "one\ntwo"), ("b", "")):
        (tmp_path / name).write_text(text)
        watcher.ended(StepResult(name, State.DONE, seconds=1.2, log=tmp_path / name))
    assert stream.getvalue() == "-- a: done in 1.2 s\none\ntwo\n-- b: done in 1.2 s\n"


def test_plain_says_what_runs_when_it_takes_long() -> None:
    stream = io.StringIO()
    watcher = PlainWatcher(stream)
    watcher.tick(lambda: Progress(total=9, seconds=1, running=(BUILD,)))
    watcher.tick(lambda: MOMENT)
    assert stream.getvalue() == "-- running: build 12 s Compiling foo.c; flaky 0.50 s exit code 1\n"


def test_a_stream_that_cannot_show_a_character_shows_another_one(tmp_path: Path) -> None:
    raw = io.BytesIO()
    (tmp_path / "a").write_text("naïve\n")
    watcher = PlainWatcher(io.TextIOWrapper(raw, encoding="ascii"))
    watcher.ended(StepResult("a", State.DONE, log=tmp_path / "a"))
    assert raw.getvalue().endswith(b"na?ve\n")


@pytest.mark.parametrize(
    ("mode", "environment", "expected"),
    [
        ("auto", {"TERM": "xterm"}, LiveWatcher),
        ("auto", {"TERM": "xterm", "CI": "true"}, PlainWatcher),
        ("auto", {"TERM": "dumb"}, PlainWatcher),
        ("auto", {}, PlainWatcher),
        ("live", {"TERM": "xterm", "CI": "true"}, LiveWatcher),
        ("plain", {"TERM": "xterm"}, PlainWatcher),
        ("quiet", {"TERM": "xterm"}, Watcher),
    ],
)
def test_the_view_is_chosen_by_terminal_environment_and_wish(
    terminal: Terminal, mode: str, environment: dict[str, str], expected: type[Watcher]
) -> None:
    assert type(choose_watcher(mode, terminal.stream, environment)) is expected


def test_without_a_terminal_it_is_plain_and_live_is_refused() -> None:
    assert type(choose_watcher("auto", io.StringIO(), {"TERM": "xterm"})) is PlainWatcher
    with pytest.raises(UsageError, match="needs a terminal"):
        choose_watcher("live", io.StringIO(), {"TERM": "xterm"})


def test_no_color_is_heeded(terminal: Terminal) -> None:
    watcher = choose_watcher("live", terminal.stream, {"TERM": "xterm", "NO_COLOR": "1"})
    watcher.tick(lambda: MOMENT)
    assert not re.search(r"\x1b\[\d*m", terminal._read())
