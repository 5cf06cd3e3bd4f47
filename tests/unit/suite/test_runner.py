"""Running checks: every end of a check has its verdict, and nothing that goes wrong in one is a pass."""

from __future__ import annotations

import threading

import pytest

from builder.errors import EngineError
from builder.model import Event, StepProgress
from builder.suite import runner
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure, Finding, Skipped, Verdict
from builder.suite.runner import run_case, run_cases
from tests.unit.suite.fakes import make_subject


def make_case(error: Exception | None = None, note: str | None = None, **options: object) -> Case:
    def check(_: object) -> str | None:
        if error is not None:
            raise error
        return note

    return Case(id="group.name", title="it holds", check=check, **options)  # type: ignore[arg-type]


def verdict_of(case: Case, *, strict: bool = False) -> Verdict:
    return run_case(case, make_subject(), strict=strict).verdict


def test_a_check_that_returns_passes_with_its_note() -> None:
    result = run_case(make_case(note="2.39"), make_subject())

    assert (result.verdict, result.note) == (Verdict.PASSED, "2.39")


def test_a_failure_keeps_what_was_expected_found_and_how_to_look() -> None:
    result = run_case(make_case(CheckFailure("a", "b", "c")), make_subject())

    assert (result.verdict, result.expected, result.found, result.look) == (Verdict.FAILED, "a", "b", "c")


def test_a_finding_is_a_warning_and_fails_only_when_strict() -> None:
    case = make_case(Finding("a", "b"))

    assert verdict_of(case) is Verdict.WARNING
    assert verdict_of(case, strict=True) is Verdict.FAILED


def test_what_cannot_be_tried_is_skipped_with_its_reason() -> None:
    result = run_case(make_case(Skipped("no key")), make_subject())

    assert (result.verdict, result.note) == (Verdict.SKIPPED, "no key")


def test_an_error_of_devbox_is_a_failure_with_its_words() -> None:
    result = run_case(make_case(EngineError("the engine went away", hint="start it")), make_subject())

    assert result.verdict is Verdict.FAILED
    assert "the engine went away" in result.found
    assert result.look == "start it"


def test_a_check_that_breaks_is_a_failure_that_says_where() -> None:
    result = run_case(make_case(ZeroDivisionError("oops")), make_subject())

    assert result.verdict is Verdict.FAILED
    assert "ZeroDivisionError: oops" in result.found
    assert "test_runner.py" in result.found


def test_a_check_that_hangs_is_a_failure_at_its_deadline() -> None:
    forever = threading.Event()
    case = Case(id="group.hangs", title="it ends", check=lambda _: str(forever.wait(30)), deadline_s=0.05)
    try:
        result = run_case(case, make_subject())
    finally:
        forever.set()

    assert result.verdict is Verdict.FAILED
    assert "hangs" in result.found
    assert result.seconds < 5


def test_checks_that_measure_time_run_after_the_others_and_one_by_one() -> None:
    running: list[str] = []
    crowd: list[int] = []
    both = threading.Barrier(2, timeout=10)

    def together(_: object) -> None:
        both.wait()  # passes only if two of them run at the same time

    def alone(_: object) -> None:
        running.append("x")
        crowd.append(len(running))
        running.pop()

    cases = [Case(id=f"a.alone{at}", title="", check=alone, lane=Lane.ALONE) for at in range(3)]
    cases += [Case(id=f"a.together{at}", title="", check=together) for at in range(2)]

    results = run_cases(cases, make_subject(), lambda event: None)

    assert [item.id for item in results] == [case.id for case in cases]
    assert {item.verdict for item in results} == {Verdict.PASSED}
    assert crowd == [1, 1, 1]


def make_meeting(*lanes: Lane) -> list[Case]:
    """One case per lane; each passes only if all of them run at the same time."""
    all_of_them = threading.Barrier(len(lanes), timeout=5)

    def meet(_: object) -> None:
        all_of_them.wait()

    return [Case(id=f"a.{lane.value}", title="", check=meet, lane=lane) for lane in lanes]


def test_the_screen_and_the_throw_away_are_used_beside_the_others() -> None:
    cases = make_meeting(Lane.TOGETHER, Lane.SCREEN, Lane.APART)

    results = run_cases(cases, make_subject(), lambda event: None)

    assert {item.verdict for item in results} == {Verdict.PASSED}


@pytest.mark.parametrize("lane", [Lane.SCREEN, Lane.APART, Lane.ALONE])
def test_a_lane_runs_one_case_after_the_other_in_their_order(lane: Lane) -> None:
    busy = threading.Lock()
    order: list[int] = []

    def check(number: int) -> None:
        assert busy.acquire(blocking=False)
        threading.Event().wait(0.005)  # time for another to come in between
        order.append(number)
        busy.release()

    cases = [
        Case(id=f"a.{at}", title="", check=lambda _, at=at: check(at), lane=lane, deadline_s=30 + at)  # type: ignore[misc]
        for at in range(5)
    ]

    assert {item.verdict for item in run_cases(cases, make_subject(), lambda event: None)} == {Verdict.PASSED}
    assert order == [0, 1, 2, 3, 4]


def test_on_a_throw_away_what_kills_waits_for_those_that_look() -> None:
    order: list[str] = []

    def make(lane: Lane) -> Case:
        return Case(id=f"a.{lane.value}", title="", check=lambda _: order.append(lane.value), lane=lane)

    run_cases([make(Lane.ALONE), make(Lane.APART), make(Lane.SCREEN)], make_subject(fresh=True), lambda event: None)

    assert order == ["screen", "apart", "alone"]


def test_those_that_may_take_longest_begin_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKERS", 1)
    order: list[float] = []

    def make(deadline: float) -> Case:
        return Case(id="a.b", title="", check=lambda _: order.append(deadline), deadline_s=deadline)

    run_cases([make(10), make(30), make(20)], make_subject(), lambda event: None)

    assert order == [30, 20, 10]


def test_nothing_begins_any_more_after_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKERS", 1)
    ran: list[int] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done == 1:
            raise KeyboardInterrupt

    cases = [Case(id="a.b", title="", check=lambda _, at=at: ran.append(at)) for at in range(9)]  # type: ignore[misc]

    with pytest.raises(KeyboardInterrupt):
        run_cases(cases, make_subject(), interrupt)

    assert len(ran) < len(cases)


def test_progress_counts_up_to_all_checks() -> None:
    events: list[Event] = []

    run_cases([make_case(), make_case()], make_subject(), events.append)

    steps = [event for event in events if isinstance(event, StepProgress)]
    assert steps[-1].state == "done"
    assert (steps[-1].done, steps[-1].total) == (2, 2)
