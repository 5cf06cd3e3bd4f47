"""The arithmetic and the words of the bench; what it measures is its own affair."""

from __future__ import annotations

import json

from bench.figures import Figure, Results, take_turns
from bench.report import render_json, render_markdown, render_table

NOOP = Figure(
    name="noop",
    what="`devbox up`, nothing to do",
    unit="s",
    values=(0.4, 0.2, 0.3),
    baseline="something else",
    baseline_values=(0.1, 0.2),
    target=0.5,
)
BIG = Figure(name="size", what="image", unit="MB", values=(600.0,), target=520)
RESULTS = Results(
    date="2030-01-01", machine={"cores": "2 cores"}, figures=(NOOP, BIG), conditions=("debian-12 in place of another",)
)


def test_acts_take_turns() -> None:
    order: list[str] = []
    seconds = take_turns(2, {"a": lambda: order.append("a"), "b": lambda: order.append("b")})
    assert order == ["a", "b", "a", "b"]
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_a_figure_is_a_median_with_a_ratio_to_its_baseline() -> None:
    assert NOOP.median == 0.3
    assert NOOP.ratio is not None
    assert round(NOOP.ratio, 3) == 2.0
    assert NOOP.met is True
    assert BIG.ratio is None
    assert BIG.met is False


def test_a_missed_target_is_said_in_every_form() -> None:
    assert "not met" in render_table(RESULTS).splitlines()[2]
    assert "| image | 600 MB | 600-600 | 1 |  |  | <= 520 MB | not met |" in render_markdown(RESULTS, "python -m bench")
    assert json.loads(render_json(RESULTS))["figures"][1]["met"] is False
