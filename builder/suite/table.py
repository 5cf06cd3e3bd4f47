"""The results as a table of plain text, legible without colour. Must not judge anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from builder.suite.results import Report, Result, Verdict, first_line

MARKS: Final = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.WARNING: "!", Verdict.SKIPPED: "-"}


def render_table(report: Report) -> str:
    """One line a check: group, mark, check, figure or reason, seconds; and the sum of it all."""
    width = max((len(item.id) for item in report.results), default=0)
    lines = [
        line for name, items in groupby(report.results, key=lambda item: item.group) for line in _group(items, width)
    ]
    return "\n".join([*lines, "", summary(report)])


def _group(items: Iterator[Result], width: int) -> Iterator[str]:
    for item in items:
        told = _told(item)
        yield f"{MARKS[item.verdict]} {item.id:<{width}}  {item.seconds:6.2f} s  {item.title}{told}"


def _told(item: Result) -> str:
    match item.verdict:
        case Verdict.PASSED:
            return f" ({item.note})" if item.note else ""
        case Verdict.SKIPPED:
            return f": skipped, {item.note}"
        case _:
            return f": expected {first_line(item.expected)}, found {first_line(item.found)}"


def summary(report: Report) -> str:
    counts = [f"{report.count(verdict)} {verdict.value}" for verdict in Verdict if report.count(verdict)]
    return f"{report.subject}: {', '.join(counts) or 'nothing checked'} in {report.seconds:.1f} s"
