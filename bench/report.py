"""How results look: a table for the terminal, JSON, and docs/performance.md. Owns the words; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.figures import Figure, Grid, Results

HEAD = ("figure", "median", "range", "n", "baseline", "ratio", "bar", "")
INTRODUCTION = """\
# Performance

Made by the bench itself, down to the mark near the end. Medians of samples taken in turns with their baseline, in one
run on one machine: the ratios carry over to another one, the seconds do not. A bar is said to be met or not met, and
fails nothing: it is a goal for a quiet machine, and the budgets of `devbox verify` are wider."""
BY_HAND = "<!-- By hand from here on: the bench keeps it. -->"


def render_json(results: Results) -> str:
    return json.dumps(results.as_dict(), indent=2) + "\n"


def render_table(results: Results) -> str:
    rows = [HEAD, *(_cells(figure) for figure in results.figures)]
    lines = _aligned(rows)
    legend = [f"{figure.name}: {figure.what}" + _against(figure) for figure in results.figures]
    shares = [f"{item.part}: {item.ours:.0f} MB, naive {item.naive:.0f} MB" for item in results.shares]
    grids = [line for grid in results.grids for line in ("", grid.title, *_aligned(_grid_rows(grid)))]
    return "\n".join([*lines, "", *legend, *([""] if shares else []), *shares, *grids, "", *_about(results)])


def find_kept(text: str) -> str:
    """What a person wrote into docs/performance.md, below the mark: conclusions, and choices made from the figures."""
    return text.partition(BY_HAND)[2].strip()


def render_markdown(results: Results, command: str, pictures: Sequence[str] = (), kept: str = "") -> str:
    """docs/performance.md, with what a person wrote into the one before."""
    return "\n".join(
        [
            INTRODUCTION,
            "",
            *(f"- {line}" for line in _about(results)),
            "",
            "| what | median | range | n | baseline | ratio | bar | |",
            "|---|---|---|---|---|---|---|---|",
            *(f"| {figure.what} | {' | '.join(_cells(figure)[1:])} |" for figure in results.figures),
            "",
            "Baselines, in the order of the table:",
            "",
            *(f"- {figure.what}: against {figure.baseline}." for figure in results.figures if figure.baseline),
            "",
            *(f"![{_describe(path)}]({path})\n" for path in pictures),
            *_shares(results),
            *(line for grid in results.grids for line in _grid(grid)),
            "Measured with",
            "",
            "```sh",
            command,
            "```",
            "",
            BY_HAND,
            *(["", kept] if kept else []),
            "",
        ]
    )


def _shares(results: Results) -> Iterator[str]:
    if not results.shares:
        return
    yield "| part of the image | MB | naive |"
    yield "|---|---|---|"
    for item in results.shares:
        yield f"| {item.part} | {item.ours:.1f} | {item.naive:.1f} |"
    yield ""
    yield "A file counts for its package, a package for the first part whose named packages need it."
    yield ""


def _grid(grid: Grid) -> Iterator[str]:
    head, *rows = _grid_rows(grid)
    yield from (f"{grid.title}:", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|")
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _grid_rows(grid: Grid) -> Sequence[Sequence[str]]:
    return [("", *grid.columns), *((key, *(f"{value:.1f}" for value in row)) for key, row in grid.rows.items())]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _describe(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".svg").replace("-", " ")


def _cells(figure: Figure) -> Sequence[str]:
    return (
        figure.name,
        _amount(figure.median, figure.unit),
        f"{_number(min(figure.values), figure.unit)}-{_number(max(figure.values), figure.unit)}",
        str(len(figure.values)),
        "" if figure.baseline_median is None else _amount(figure.baseline_median, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        _bars(figure),
        _verdict(figure),
    )


def _bars(figure: Figure) -> str:
    value = [] if figure.target is None else [f"<= {figure.target:g} {figure.unit}"]
    ratio = [] if figure.target_ratio is None else [f"ratio <= {figure.target_ratio:g}"]
    floor = [] if figure.floor_ratio is None else [f"ratio >= {figure.floor_ratio:g}"]
    return ", ".join(value + ratio + floor)


def _verdict(figure: Figure) -> str:
    """Of two bars each is told where they differ; a bar without its baseline is not judged."""
    verdicts = figure.verdicts
    if len(set(verdicts.values())) == 2:
        return ", ".join(f"{bar} {'met' if met else 'not met'}" for bar, met in verdicts.items())
    if not verdicts:
        return "not judged" if _bars(figure) else ""
    return "met" if all(verdicts.values()) else "not met"


def _against(figure: Figure) -> str:
    return f"; baseline: {figure.baseline}" if figure.baseline else ""


def _amount(value: float, unit: str) -> str:
    return f"{_number(value, unit)} {unit}"


def _number(value: float, unit: str) -> str:
    if unit in ("MB", "steps"):
        return f"{value:.0f}"
    return f"{value:.2f}" if value >= 0.02 or value == 0 else f"{value:.2g}"


def _about(results: Results) -> Iterator[str]:
    yield f"{results.date}; {'; '.join(results.machine.values())}"
    for condition in results.conditions:
        yield f"instead: {condition}"
    for note in results.notes:
        yield f"note: {note}"
