"""The order of steps: each once, after what it needs, never more at once than there are workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.errors import UsageError
from coditect.steps import State, Step, run_steps
from coditect.steps.schedule import Schedule


def recorder(file: Path, name: str) -> Callable[[], None]:
    """A step that writes down when it begins and ends; one short append each, so the lines cannot mix."""

    def act() -> None:
        target = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(target, f"+{name}\n".encode())
        os.sched_yield()
        os.write(target, f"-{name}\n".encode())

    return act


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Any graph without circles: a step needs some of those before it. Told in any order."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 7)))]
    needs = {name: draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
             for place, name in enumerate(names)}  # fmt: skip
    return {name: needs[name] for name in draw(st.permutations(names))}


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_each_step_runs_once_after_its_needs_and_never_more_than_the_workers_at_once(
    needs: dict[str, list[str]], jobs: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        steps = [Step(name, recorder(record, name), wanted) for name, wanted in needs.items()]
        report = run_steps(steps, jobs=jobs, output=Path(folder))
        events = record.read_text().split()
    assert report.ok
    assert sorted(events) == sorted([f"+{name}" for name in needs] + [f"-{name}" for name in needs])
    for name, wanted in needs.items():
        assert all(events.index(f"-{need}") < events.index(f"+{name}") for need in wanted)
    at_work = [sum(1 if event[0] == "+" else -1 for event in events[: end + 1]) for end in range(len(events))]
    assert max(at_work) <= jobs


def test_independent_steps_run_at_once(tmp_path: Path) -> None:
    """Each waits for the other one: one after the other they would never end."""
    os.mkfifo(tmp_path / "fifo")
    report = run_steps(
        [
            Step("writer", ["sh", "-c", "echo met > fifo"], cwd=tmp_path, timeout=20),
            Step("reader", ["sh", "-c", "read word < fifo && echo $word"], cwd=tmp_path, timeout=20),
        ],
        jobs=2,
        output=tmp_path / "logs",
    )
    assert report.ok
    assert (tmp_path / "logs" / "reader.log").read_text() == "met\n"


def test_of_several_ready_steps_the_one_with_most_behind_it_starts_first() -> None:
    schedule = Schedule([
        Step("short", ["x"]), Step("tail", ["x"], ["mid"]), Step("mid", ["x"], ["head"]), Step("head", ["x"]),
    ])  # fmt: skip
    first, second = schedule.take(), schedule.take()
    assert first is not None
    assert second is not None
    assert [first.name, second.name] == ["head", "short"]
    assert schedule.take() is None


def test_a_long_row_of_steps_is_no_deep_recursion(tmp_path: Path) -> None:
    steps = [Step(f"s{n}", ["true"], [f"s{n - 1}"] if n else []) for n in range(1500)]
    schedule = Schedule(steps)
    taken: list[str] = []
    while step := schedule.take():
        taken.append(step.name)
        schedule.succeed(step.name)
    assert taken == [step.name for step in steps]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([Step("a", ["x"]), Step("a", ["y"])], "step 'a' is there 2 times"),
        ([Step("a", ["x"], ["b"])], "step 'a' needs 'b', which is no step"),
        ([Step("a", ["x"], ["b"]), Step("b", ["x"], ["a"])], "in a circle: a -> b -> a"),
        ([Step("a/b", ["x"])], "step 'a/b': a name is made of"),
        ([Step("a", [])], "step 'a': there is nothing to run"),
    ],
)
def test_steps_that_make_no_sense_are_refused_before_any_starts(steps: Sequence[Step], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_steps(steps)
    assert told in str(caught.value)


def test_no_steps_are_done_at_once(tmp_path: Path) -> None:
    assert run_steps([], output=tmp_path).ok


def test_the_report_keeps_the_order_of_the_steps_and_knows_the_longest_chain(tmp_path: Path) -> None:
    report = run_steps([Step("b", ["sleep", "0.05"], ["a"]), Step("a", ["true"]), Step("c", ["true"])], output=tmp_path)
    assert list(report.results) == ["b", "a", "c"]
    assert list(report.chain) == ["a", "b"]
    assert {result.state for result in report.results.values()} == {State.DONE}
