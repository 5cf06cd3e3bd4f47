"""The live view as text: a pure function from a moment of the run and the size of the terminal to lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from coditect.steps.durations import show_duration

if TYPE_CHECKING:
    from coditect.steps.watcher import Progress, Running

RESET: Final = "\x1b[0m"
BOLD, RED, DIM = "\x1b[1m", "\x1b[31m", "\x1b[2m"
LONGEST_NAME: Final = 24

# (text, style); no style is the empty text
Segment = tuple[str, str]


def render(progress: Progress, width: int, height: int, colour: bool) -> list[str]:
    """A headline, and a line for each running step as far as there is room; no line is wider than `width`."""
    room = max(1, height - 2)  # the headline, and the line on which the cursor rests
    shown = progress.running if len(progress.running) <= room else progress.running[: room - 1]
    column = min(LONGEST_NAME, max((display_width(step.name) for step in shown), default=0))
    lines = [_headline(progress), *(_row(step, column) for step in shown)]
    if hidden := len(progress.running) - len(shown):
        lines.append([(f"  and {hidden} more", DIM)])
    return [_join(line, width, colour) for line in lines[: max(1, height - 1)]]


def _headline(progress: Progress) -> list[Segment]:
    counts = [f"{progress.done} of {progress.total} done"]
    if progress.running:
        counts.append(f"{len(progress.running)} running")
    if progress.waiting:
        counts.append(f"{progress.waiting} waiting")
    segments = [(", ".join(counts), BOLD)]
    if progress.failed:
        segments.append((f", {len(progress.failed)} failed", RED))
    if progress.stopping:
        segments.append((f", stopping: {progress.stopping}", RED))
    return [*segments, (f"  {show_duration(progress.seconds)}", "")]


def _row(step: Running, column: int) -> list[Segment]:
    name = clip(step.name, column)
    padding = " " * (column - display_width(name))
    attempt = f"  [attempt {step.attempt} of {step.attempts}]" if step.attempt > 1 else ""
    wait = "  waits for another attempt:" if step.waits else ""
    time = f"{show_duration(step.seconds):>9}"
    return [(f"  {name}{padding} {time}{attempt}{wait}", ""), (f"  {step.last_line}", DIM)]


def _join(segments: Sequence[Segment], width: int, colour: bool) -> str:
    """One line of at most `width` columns."""
    line, left = "", width
    for text, style in segments:
        part = clip(text, left)
        left -= display_width(part)
        line += f"{style}{part}{RESET}" if colour and style and part else part
    return line


def clip(text: str, width: int) -> str:
    """The beginning of a text, as far as it fits."""
    taken = 0
    for position, character in enumerate(text):
        taken += character_width(character)
        if taken > width:
            return text[:position]
    return text


def display_width(text: str) -> int:
    return sum(map(character_width, text))


def character_width(character: str) -> int:
    """Columns on a terminal: East Asian wide ones take two, accents and what does not print take none."""
    if character.isascii():
        return int(character.isprintable())
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc", "Zl", "Zp"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def count_rows(widths: Sequence[int], columns: int) -> int:
    """Rows that lines of these widths take when the terminal is `columns` wide: it wraps them when it gets narrower."""
    return sum(max(1, -(-width // max(1, columns))) for width in widths)
