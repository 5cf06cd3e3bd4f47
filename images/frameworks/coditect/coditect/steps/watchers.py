"""The watchers of the command line: a live view on a terminal, or plain blocks of text. Both write to one stream.

The live view never hides the cursor nor changes a mode of the terminal, so that whatever ends the process leaves a sane
terminal behind; each frame is a single write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO

from coditect.errors import UsageError
from coditect.steps.durations import show_duration
from coditect.steps.model import State, StepResult
from coditect.steps.output import make_legible, read_blocks
from coditect.steps.summary import describe_reason
from coditect.steps.view import clip, count_rows, display_width, render
from coditect.steps.watcher import Progress, Watcher

MODES: Final = ("auto", "live", "plain", "quiet")
FRAME_S: Final = 0.1
HEARTBEAT_S: Final = 30.0
# Of a step's output in plain mode; a longer one is in the log, and its end here.
MOST_PRINTED: Final = 2**20


def choose_watcher(mode: str, stream: TextIO, environment: Mapping[str, str]) -> Watcher:
    """auto: live where somebody looks. Raises UsageError for a live view without a terminal."""
    terminal = stream.isatty() and environment.get("TERM", "dumb") != "dumb"
    if mode == "live" and not terminal:
        raise UsageError("--log live needs a terminal", hint="--log plain works everywhere")
    if mode == "quiet":
        return Watcher()
    if terminal and (mode == "live" or (mode == "auto" and not environment.get("CI"))):
        return LiveWatcher(stream, colour=not environment.get("NO_COLOR"))
    return PlainWatcher(stream)


def describe_end(result: StepResult) -> str:
    """`build: done in 1.2 s`."""
    if result.state is State.DONE:
        return f"{result.name}: done in {show_duration(result.seconds)}"
    return f"{result.name}: {describe_reason(result)}"


class PlainWatcher(Watcher):
    """The whole output of a step when it has ended, so that nothing is mixed; a sign of life in between."""

    interval = HEARTBEAT_S

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def retrying(self, name: str, reason: str, wait: float) -> None:
        self._say(f"{name}: {reason}; once more in {show_duration(wait)}")

    def ended(self, result: StepResult) -> None:
        self._say(describe_end(result))
        if result.log is not None:
            self._print_log(result.log)

    def stopping(self, reason: str) -> None:
        self._say(f"stopping: {reason}")

    def tick(self, progress: Callable[[], Progress]) -> None:
        moment = progress()
        rows = [f"{step.name} {show_duration(step.seconds)} {step.last_line}".rstrip() for step in moment.running]
        if rows and moment.seconds >= HEARTBEAT_S:
            self._say(f"running: {'; '.join(clip(row, 100) for row in rows)}")

    def _say(self, text: str) -> None:
        print(f"-- {text}", file=self._stream, flush=True)

    def _print_log(self, log: Path) -> None:
        left_out = log.stat().st_size - MOST_PRINTED
        if left_out > 0:
            self._say(f"the first {left_out} bytes are only in {log}")
        last = "\n"
        for block in read_blocks(log, MOST_PRINTED):
            text = make_legible(block)
            self._stream.write(_encodable(text, self._stream))
            last = text[-1:] or last
        self._stream.write("" if last == "\n" else "\n")
        self._stream.flush()


class LiveWatcher(Watcher):
    """Running steps in place, ended ones folded into a count; a failure stays as a line above."""

    interval = FRAME_S

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream, self._colour = stream, colour
        self._frame = ""
        self._columns = 0
        self._widths: list[int] = []  # of the lines on the screen

    def ended(self, result: StepResult) -> None:
        if result.state is not State.DONE:
            self._print_above(describe_end(result))

    def stopping(self, reason: str) -> None:
        self._print_above(f"stopping: {reason}; Ctrl-C kills what is left")

    def tick(self, progress: Callable[[], Progress]) -> None:
        columns, rows = os.get_terminal_size(self._stream.fileno())
        moment = progress()
        # One column stays free: what a terminal does at its right edge differs.
        size = (columns or 80) - 1, rows or 24
        frame = "".join(f"{line}\x1b[K\n" for line in render(moment, *size, self._colour))
        if (frame, columns) != (self._frame, self._columns):
            self._write(f"{self._back(columns)}{frame}\x1b[J")
            self._frame, self._columns = frame, columns
            self._widths = [display_width(line) for line in render(moment, *size, colour=False)]

    def close(self) -> None:
        self._print_above("")

    def _print_above(self, text: str) -> None:
        """Put the view away, leave a line; the next tick shows the view again below it."""
        columns, _ = os.get_terminal_size(self._stream.fileno())
        self._write(f"{self._back(columns)}\x1b[J{text}" + ("\n" if text else ""))
        self._frame, self._widths = "", []

    def _back(self, columns: int) -> str:
        """To the first column of the first line of the view."""
        rows = count_rows(self._widths, columns)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self._stream.write(_encodable(text, self._stream))
        self._stream.flush()


def _encodable(text: str, stream: TextIO) -> str:
    """What the stream cannot encode becomes `?`: output of a step must not end the run."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
