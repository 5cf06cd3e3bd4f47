"""How results look: a table for the terminal, JSON, and docs/performance.md. Owns the words; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.figures import Figure, Results

HEAD = ("figure", "median", "range", "n", "baseline", "ratio", "target", "")


def render_json(results: Results) -> str:
    return json.dumps(results.as_dict(), indent=2) + "\n"


def render_table(results: Results) -> str:
    rows = [HEAD, *(_cells(figure) for figure in results.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    legend = [f"{figure.name}: {figure.what}" + _against(figure) for figure in results.figures]
    return "\n".join([*lines, "", *legend, "", *_about(results)])


def render_markdown(results: Results, command: str) -> str:
    """docs/performance.md."""
    rows = [f"| {figure.what} | {' | '.join(_cells(figure)[1:])} |" for figure in results.figures]
    baselines = [f"- {figure.what}: against {figure.baseline}." for figure in results.figures if figure.baseline]
    return "\n".join(
        [
            "# Performance",
            "",
            "Made by the bench itself; do not edit. Medians of samples taken in turns with their baseline, in one run",
            "on one machine: the ratios carry over to another one, the seconds do not. A target is said to be met or",
            "not met, and fails nothing.",
            "",
            *(f"- {line}" for line in _about(results)),
            "",
            "| what | median | range | n | baseline | ratio | target | |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Baselines:",
            "",
            *baselines,
            "",
            "The targets are goals for a quiet machine; the budgets of `devbox verify` are wider.",
            "",
            "Measured with",
            "",
            "```sh",
            command,
            "```",
            "",
        ]
    )


def _cells(figure: Figure) -> Sequence[str]:
    return (
        figure.name,
        _amount(figure.median, figure.unit),
        f"{_number(min(figure.values), figure.unit)}-{_number(max(figure.values), figure.unit)}",
        str(len(figure.values)),
        "" if figure.baseline_median is None else _amount(figure.baseline_median, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        "" if figure.target is None else f"<= {figure.target:g} {figure.unit}",
        {True: "met", False: "not met", None: ""}[figure.met],
    )


def _against(figure: Figure) -> str:
    return f"; baseline: {figure.baseline}" if figure.baseline else ""


def _amount(value: float, unit: str) -> str:
    return f"{_number(value, unit)} {unit}"


def _number(value: float, unit: str) -> str:
    return f"{value:.0f}" if unit == "MB" else f"{value:.2f}"


def _about(results: Results) -> Iterator[str]:
    yield f"{results.date}; {'; '.join(results.machine.values())}"
    for condition in results.conditions:
        yield f"instead: {condition}"
