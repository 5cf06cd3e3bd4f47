"""The tree of what runs: what is shown of it, what is left when it is done, and when a silence is explained."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from builder.core.stages import Stages, elapsed
from builder.model import Event, LogLine, Note, PhaseReached, StepProgress, TaskEnded, TaskStarted

BUILD = TaskStarted(name="build", text="build devbox/x:1")


def step(name: str, state: str = "running", **more: object) -> StepProgress:
    return StepProgress(name=name, text=f"the {name}", state=state, **more)  # type: ignore[arg-type]


def told(stages: Stages, *events: tuple[float, Event]) -> list[str]:
    lines = [stages.take(event, now) for now, event in events]
    return [line for line in lines if line is not None]


def draw(stages: Stages, now: float, *, width: int = 100, height: int = 24) -> list[str]:
    return [line.lstrip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") for line in stages.draw(now, width=width, height=height)]


def test_steps_that_run_side_by_side_stand_below_their_task_with_how_far_they_are() -> None:
    stages = Stages()
    left = told(
        stages,
        (0, BUILD),
        (1, step("node")),
        (2, step("apt", done=24, total=96, unit="packages")),
        (3, step("node", "done", seconds=2.0)),
        (4, LogLine(name="apt", text="Setting up \x1b[1mgit\x1b[0m ...")),
    )
    assert left == []
    assert draw(stages, 6) == [
        " build devbox/x:1  6 s",
        "├─ ✓ node: the node (2.0 s)",
        "├─ ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ … apt: the apt, 24 of 96 packages  4 s",
        "└─   Setting up [1mgit[0m ...",
    ]


def test_a_task_that_is_done_is_one_line_with_the_slowest_of_its_steps() -> None:
    stages = Stages()
    steps = [step("apt", "done", seconds=41.2), step("node", "done", seconds=2.0), step("base", "cached")]
    end = TaskEnded(name="build", text="devbox/x:1 built", seconds=61.0)
    assert told(stages, (0, BUILD), *((1, event) for event in steps), (61, end)) == [
        "✓ devbox/x:1 built (61.0 s; slowest: apt, 41.2 s)"
    ]
    assert not stages.is_busy
    assert draw(stages, 62) == []


@pytest.mark.parametrize("steps", [[], [("apt", 41.2)], [("apt", 0.4), ("node", 0.2)]])
def test_no_step_is_called_the_slowest_where_none_was_slow_or_there_was_one(steps: Iterable[tuple[str, float]]) -> None:
    stages = Stages()
    events = [(1.0, step(name, "done", seconds=seconds)) for name, seconds in steps]
    end = TaskEnded(name="build", text="built", seconds=50.0)
    assert told(stages, (0, BUILD), *events, (50, end)) == ["✓ built (50.0 s)"]


def test_a_step_that_failed_stays_and_so_does_one_of_no_task() -> None:
    stages = Stages()
    assert told(stages, (0, step("fetch")), (1, step("fetch", "done", seconds=1.0))) == ["  ✓ fetch: the fetch (1.0 s)"]
    assert not stages.is_busy
    assert told(stages, (2, BUILD), (3, step("apt", "failed"))) == ["  ✗ apt: the apt"]
    assert told(stages, (4, Note(text="so it is"))) == ["· so it is"]


def test_after_the_start_the_workstation_itself_is_waited_for() -> None:
    stages = Stages()
    left = told(
        stages,
        (0, TaskStarted(name="start", text="start x-workstation-1")),
        (1, TaskEnded(name="start", text="container started", seconds=1.0)),
        (2, PhaseReached(phase="x", seconds=0.5)),
        (2, PhaseReached(phase="panel", seconds=0.6)),
    )
    assert left == ["✓ container started (1.0 s)"]
    assert draw(stages, 3) == [" wait until it can be used  2 s", "└─ ✓ x, panel"]
    assert stages.explain_silence(12)[1] == "`devbox logs` in another terminal shows what it writes"
    assert told(stages, (13, TaskStarted(name="compare", text="compare"))) == []
    assert draw(stages, 13) == [" compare  0 s"]


def test_a_silence_is_explained_after_ten_seconds_by_what_still_runs() -> None:
    stages = Stages()
    told(stages, (0, BUILD), (1, step("node")), (2, step("apt")), (3, step("node", "done")))
    assert stages.explain_silence(11.9) == ()
    what, look = stages.explain_silence(13)
    assert what == "no news for 10 s, still waiting for apt"
    assert look.startswith("`devbox doctor` in another terminal")
    assert draw(stages, 14)[-2:] == ["no news for 11 s, still waiting for apt", look]
    told(stages, (15, LogLine(name="apt", text="Get:1 git")))
    assert stages.explain_silence(20) == ()


def test_nothing_is_waited_for_where_nothing_runs() -> None:
    stages = Stages()
    told(stages, (0, Note(text="hello")))
    assert stages.explain_silence(100) == ()


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 24])
def test_the_tree_never_is_higher_than_the_terminal(height: int) -> None:
    stages = Stages()
    told(stages, (0, BUILD), *((1, step(f"done{number}", "done")) for number in range(6)))
    told(stages, *((2, step(f"runs{number}")) for number in range(6)))
    for now in (3, 30):
        assert len(draw(stages, now, height=height)) <= max(1, height - 1)


def test_where_room_lacks_what_is_done_is_a_number_and_what_runs_is_shown() -> None:
    stages = Stages()
    told(stages, (0, BUILD), *((1, step(f"d{number}", "done")) for number in range(6)), (2, step("apt")))
    assert draw(stages, 4, height=6) == [" build devbox/x:1  4 s", "├─ ✓ 6 done", "└─ … apt: the apt  2 s"]


def test_on_a_narrow_terminal_names_and_numbers_are_left() -> None:
    stages = Stages()
    told(stages, (0, BUILD), (1, step("apt", done=3, total=95, unit="packages")))
    told(stages, (1, step("node", done=1_500_000, total=3_000_000, unit="bytes")))
    assert draw(stages, 4, width=20) == [
        " 4 s build devbox/x:1", "├─ … apt 3 % 3 s", "└─ … node 50 % 3 s"
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0 s"), (99.9, "99 s"), (125, "2 min 05 s")])
def test_how_long_it_took(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
