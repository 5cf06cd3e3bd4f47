"""What is told of the work, in words: one line for each event that is worth one.

Owns all wording of progress. Must not know where the lines go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from builder.model import Event, LogLine, Note, PhaseReached, StepProgress, TaskEnded, TaskStarted

MARKS: Final[Mapping[str, str]] = {"info": "·", "warning": "!", "done": "✓"}
STATE_MARKS: Final[Mapping[str, str]] = {"running": "…", "cached": "=", "done": "✓", "failed": "✗", "canceled": "-"}
BAR_WIDTH: Final = 20


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
    seconds = f" ({event.seconds:.1f} s)" if event.seconds >= 0.05 else ""
    cached = " unchanged" if event.state == "cached" else ""
    return f"{STATE_MARKS[event.state]} {event.name}: {event.text}{describe_amount(event)}{cached}{seconds}"


def describe_amount(event: StepProgress) -> str:
    """`, 80 of 95 packages`; nothing where it is not known how much there is."""
    if not event.total:
        return ""
    amount = f", {_amount(event.done, event.unit)} of {_amount(event.total, event.unit)} {event.unit}".rstrip()
    return amount.removesuffix(" bytes") if event.unit == "bytes" else amount


def draw_bar(event: StepProgress) -> str:
    """How much of it is done, where that is known."""
    if not event.total:
        return ""
    filled = BAR_WIDTH * min(event.done, event.total) // event.total
    return f"{'━' * filled}{'╌' * (BAR_WIDTH - filled)} "


def _amount(value: int, unit: str) -> str:
    return f"{value / 1e6:.1f} MB" if unit == "bytes" else str(value)
