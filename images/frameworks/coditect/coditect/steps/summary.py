"""The last words of a run: what failed with the end of its output, what was not done and why, how long it took."""

from __future__ import annotations

from collections.abc import Iterator

from coditect.errors import StepsFailedError
from coditect.steps.durations import show_duration
from coditect.steps.model import Report, State, StepResult
from coditect.steps.output import TAIL_BYTES, last_lines, read_tail

MOST_TOLD = 3  # failures with their output; the others by name
TAIL_LINES = 10


def describe_failures(report: Report, where: str = "") -> StepsFailedError:
    """The error of a run in which a step failed."""
    failures = report.failures
    names = ", ".join(result.name for result in failures)
    lines = [f"{_count(len(failures), 'step')} of {len(report.results)} failed: {names}"]
    for result in failures[:MOST_TOLD]:
        lines.extend(_describe_failure(result))
    if len(failures) > MOST_TOLD:
        lines.append("the others are in the same folder")
    return StepsFailedError("\n".join(lines), where=where)


def _describe_failure(result: StepResult) -> Iterator[str]:
    yield f"{result.name}: {describe_reason(result)}"
    if result.log is not None:
        for line in last_lines(read_tail(result.log, TAIL_BYTES), TAIL_LINES):
            yield f"  | {line}"
        yield f"  output: {result.log}"


def describe_reason(result: StepResult) -> str:
    """`exit code 2 in the last of 3 attempts, after 4.1 s`."""
    attempts = f" in the last of {result.attempts} attempts" if result.attempts > 1 else ""
    timed = result.state in (State.TIMED_OUT, State.SKIPPED)
    return f"{result.reason}{attempts}" + ("" if timed else f", after {show_duration(result.seconds)}")


def describe_rest(report: Report) -> Iterator[str]:
    """Steps that were not done though they did not fail."""
    for result in report.results.values():
        if result.state in (State.SKIPPED, State.STOPPED):
            yield f"{result.name}: {result.state.value}: {result.reason}"
        elif result.allowed:
            yield f"{result.name}: {result.reason}, which it may"


def describe_time(report: Report) -> str:
    """`5 steps in 6.1 s; longest chain 6.0 s (fetch -> build), one after the other 12 s`."""
    done = sum(result.state is State.DONE for result in report.results.values())
    count = _count(len(report.results), "step")
    share = count if done == len(report.results) else f"{done} of {count}"
    chain = " -> ".join(report.chain)
    return (
        f"{share} in {show_duration(report.seconds)}; longest chain {show_duration(report.chain_seconds)}"
        f" ({chain}), one after the other {show_duration(report.sequential_seconds)}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
