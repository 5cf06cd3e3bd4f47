"""Runs cases in lanes, the lanes side by side, each case with a deadline. `cases.Lane` says who shares time with whom.

Whatever a check does wrong itself (an exception, a hang) is a failure with its cause, never a pass and never a crash.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import monotonic
from builder.errors import DevboxError
from builder.model import Event, Note, StepProgress
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure, Finding, Result, Skipped, Verdict, first_line

if TYPE_CHECKING:
    from builder.suite.subject import Subject

WORKERS: Final = 8
PROGRESS: Final = "checks"
Report = Callable[[Event], None]


def run_cases(cases: Sequence[Case], subject: Subject, report: Report, *, strict: bool = False) -> tuple[Result, ...]:
    """The result of every case, in the order of `cases`."""
    teller = _Teller(report, len(cases), strict)
    results: dict[int, Result] = {}
    stopped = threading.Event()

    def run(*lane: int) -> None:
        for index in lane:
            if stopped.is_set():
                return
            results[index] = teller.run(cases[index], subject)

    lanes = {lane: [index for index, case in enumerate(cases) if case.lane is lane] for lane in Lane}
    # A throw-away is its own throw-away: what kills waits for those that look.
    beside, after = ([], lanes[Lane.APART]) if subject.fresh else (lanes[Lane.APART], [])
    # Those that may take longest first: one that is left over at the end keeps everybody waiting.
    together = sorted(lanes[Lane.TOGETHER], key=lambda index: -cases[index].deadline_s)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="checks") as pool:
        jobs = [pool.submit(run, *lane) for lane in (beside, lanes[Lane.SCREEN], *([index] for index in together))]
        _wait_for(jobs, pool, stopped)
    run(*after, *lanes[Lane.ALONE])
    teller.end()
    return tuple(results[index] for index in range(len(cases)))


def _wait_for(jobs: Sequence[Future[None]], pool: ThreadPoolExecutor, stopped: threading.Event) -> None:
    """To the end, or until a person interrupts: then nothing begins any more, and what runs is waited for."""
    try:
        for job in jobs:
            job.result()
    except BaseException:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


class _Teller:
    """Runs one case at a time per thread, and tells of each as it begins and ends."""

    def __init__(self, report: Report, total: int, strict: bool) -> None:
        self._report = report
        self._total = total
        self._strict = strict
        self._done = 0
        self._lock = threading.Lock()
        self._began = monotonic()

    def run(self, case: Case, subject: Subject) -> Result:
        self._tell(case.title, "running")
        result = run_case(case, subject, strict=self._strict)
        with self._lock:
            self._done += 1
        if result.verdict is Verdict.FAILED:
            self._report(Note(text=f"{case.id}: {first_line(result.found)}", level="warning"))
        self._tell(case.title, "running")
        return result

    def end(self) -> None:
        self._tell("all done", "done", monotonic() - self._began)

    def _tell(self, text: str, state: str, seconds: float = 0.0) -> None:
        with self._lock:
            done = self._done
        self._report(
            StepProgress(
                name=PROGRESS, text=text, state=state, seconds=seconds, done=done, total=self._total, unit="checks"
            )
        )


def run_case(case: Case, subject: Subject, *, strict: bool = False) -> Result:
    """One case, bounded by its deadline."""
    began = monotonic()
    future: Future[str | None] = Future()
    # A daemon: a check that hangs for ever must not keep the program from ending.
    threading.Thread(target=_fill, args=(future, case, subject), name=case.id, daemon=True).start()
    try:
        error = future.exception(case.deadline_s)
    except FutureTimeout:
        error = CheckFailure(
            f"an answer within {case.deadline_s:g} s", "none: the check hangs", f"devbox verify --only {case.group}"
        )
    note = future.result() if error is None else None
    return _judge(case, error, note or "", monotonic() - began, strict=strict)


def _fill(future: Future[str | None], case: Case, subject: Subject) -> None:
    try:
        future.set_result(case.check(subject))
    except BaseException as error:  # noqa: BLE001  # it goes to the waiting thread, which makes a failure of it
        future.set_exception(error)


def _judge(case: Case, error: BaseException | None, note: str, seconds: float, *, strict: bool) -> Result:
    def result(verdict: Verdict, *, expected: str = "", found: str = "", look: str = "", note: str = "") -> Result:
        return Result(
            id=case.id, group=case.group, title=case.title, verdict=verdict, seconds=round(seconds, 3),
            expected=expected, found=found, look=look, note=note,
        )  # fmt: skip

    match error:
        case None:
            return result(Verdict.PASSED, note=note)
        case Skipped():
            return result(Verdict.SKIPPED, note=error.message)
        case Finding():
            verdict = Verdict.FAILED if strict else Verdict.WARNING
            return result(verdict, expected=error.expected, found=error.found, look=error.look)
        case CheckFailure():
            return result(Verdict.FAILED, expected=error.expected, found=error.found, look=error.look)
        case DevboxError():
            return result(Verdict.FAILED, expected=case.title, found=str(error), look=error.hint or "")
        case _:
            last = traceback.extract_tb(error.__traceback__)[-1:]
            place = f" ({last[0].filename.rpartition('/')[2]}:{last[0].lineno})" if last else ""
            found = f"the check itself broke: {type(error).__name__}: {error}{place}"
            return result(Verdict.FAILED, expected=case.title, found=found, look="report this as a bug of devbox")
