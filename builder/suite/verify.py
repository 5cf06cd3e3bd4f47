"""`devbox verify`: collect the cases of a subject, run them, and put the whole into one Report.

with open_image(engine, wanted, "devbox/workstation:...") as subject:
    report = verify(subject, ["doors"], print)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import monotonic
from builder.core.labels import LABEL_PREFIX, LABEL_REQUESTED_BASE
from builder.errors import VerifyError
from builder.model import TaskEnded, TaskStarted
from builder.suite.registry import GROUPS, collect_cases
from builder.suite.results import Report, Result, Verdict
from builder.suite.runner import run_cases
from builder.suite.timing import STARTS

if TYPE_CHECKING:
    from builder.suite.runner import Report as Tell
    from builder.suite.subject import Subject

HELD: Final = (
    "`devbox rollback` went back from what devbox.yaml says, and the checks hold it to that; "
    "a change of devbox.yaml, or `devbox up --update`, goes on from there"
)


def verify(
    subject: Subject, groups: Sequence[str] = tuple(GROUPS), tell: Tell = lambda event: None, *, strict: bool = False
) -> Report:
    """Run the checks of `groups` on a running container. Never raises for what it finds."""
    began = monotonic()
    name = subject.container.name
    tell(TaskStarted(name="verify", text=f"verify {name}: {', '.join(groups)}"))
    cases = collect_cases(subject, groups)
    results = run_cases(cases, subject, tell, strict=strict)
    seconds = monotonic() - began
    report = make_report(subject, results, seconds)
    text = f"{name} verified" if not report.failures else f"{name} does not keep {len(report.failures)} promises"
    tell(TaskEnded(name="verify", text=text, seconds=seconds, failed=bool(report.failures)))
    return report


def make_report(subject: Subject, results: tuple[Result, ...], seconds: float) -> Report:
    labels = subject.container.labels
    starts = subject.memo.peek(STARTS)
    return Report(
        subject=subject.container.name,
        image=subject.container.image,
        profile=subject.resolved.profile,
        base=labels.get(f"{LABEL_PREFIX}base", subject.resolved.base.name),
        requested_base=labels.get(LABEL_REQUESTED_BASE, ""),
        substitutions=subject.substitutions,
        results=results,
        seconds=round(seconds, 3),
        phases=subject.ready().phases,
        starts=starts if isinstance(starts, tuple) else (),
    )


def refuse_failures(report: Report, *, held: bool = False) -> None:
    """Raise VerifyError, with what was expected, what was found and how to look, when a check failed. `held` is a
    workstation that was gone back to, where the checks are those of what devbox.yaml says now."""
    if not report.failures:
        return
    lines = [line for item in report.failures for line in _explain(item)]
    total = len(report.results) - report.count(Verdict.SKIPPED)
    raise VerifyError(
        f"{len(report.failures)} of {total} checks failed",
        where=report.subject,
        detail="\n".join(lines),
        hint=HELD if held else "`devbox logs` shows what its services said; `devbox up --recreate` starts it afresh",
    )


def _explain(item: Result) -> Iterator[str]:
    yield f"✗ {item.id}: {item.title}"
    for word, text in (("expected", item.expected), ("found", item.found), ("look", item.look)):
        if text:
            yield f"    {word:<8}  " + text.replace("\n", "\n" + " " * 14)
