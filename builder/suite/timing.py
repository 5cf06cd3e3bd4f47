"""Group `timing`: throw-away starts from the same image, each phase stamped by the image's own probe.

The median of the starts is held to the budgets of the profile or of devbox.yaml; `<phase>_p95_s` holds the slow ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure, Skipped

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

STARTS: Final = "starts"  # the memo's name for all timed starts
ALIASES: Final = {"painted": "frame"}
START_S: Final = 60.0
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")

Start = Mapping[str, float]  # phase -> seconds after the container's start


def make_cases(resolved: Resolved) -> Iterator[Case]:
    """One case that the starts succeed, then one per budget that names a phase in seconds."""
    deadline = START_S * 20
    yield Case(
        id="timing.starts", title="throw-away starts become usable", check=_starts, lane=Lane.ALONE, deadline_s=deadline
    )
    for name, limit in sorted(resolved.budget.items()):
        if name.endswith("_s"):
            yield _budget_case(name, limit, deadline)


def _budget_case(name: str, limit: float, deadline: float) -> Case:
    phase = name.removesuffix("_s").removesuffix("_p95")
    kind = "p95" if name.endswith("_p95_s") else "median"

    def run(subject: Subject) -> str:
        values = [start[ALIASES.get(phase, phase)] for start in measure(subject) if ALIASES.get(phase, phase) in start]
        if not values:
            raise CheckFailure(f"a phase `{phase}` to hold to {name}", "no start has it", "devbox status --json")
        value = statistics.median(values) if kind == "median" else percentile(values, 95)
        if value > limit:
            told = f"{kind} {value:.2f} s of {len(values)} starts ({', '.join(f'{item:.2f}' for item in values)})"
            raise CheckFailure(f"{phase} within {limit:g} s ({name})", told, "devbox verify --only timing --report DIR")
        return f"median {statistics.median(values):.2f} s, p95 {percentile(values, 95):.2f} s of {len(values)}"

    title = f"{phase} within {limit:g} s ({kind})"
    return Case(id=f"timing.{name}", title=title, check=run, lane=Lane.ALONE, deadline_s=deadline)


def _starts(subject: Subject) -> str:
    starts = measure(subject)
    last = [max(start.values(), default=0.0) for start in starts]
    return f"{len(starts)} starts, median {statistics.median(last):.2f} s, p95 {percentile(last, 95):.2f} s"


def measure(subject: Subject) -> Sequence[Start]:
    """The phases of `subject.repeat` starts, one after the other; taken once per run."""
    return subject.memo.get(STARTS, lambda: tuple(_measure_all(subject)))


def _measure_all(subject: Subject) -> Iterator[Start]:
    if subject.boot is None:
        raise Skipped("this subject cannot be started anew")
    for _ in range(subject.repeat):
        if subject.cold:
            drop_page_cache()
        with subject.boot() as fresh:
            look = fresh.ready()
            if not look.ready:
                raise CheckFailure("a start that becomes usable", look.reason, "devbox up --recreate; devbox logs")
            yield look.phases


def drop_page_cache() -> None:
    """A cold start reads the image from the disk. Needs root on the engine's own machine."""
    try:
        DROP_CACHES.write_text("3\n", encoding="ascii")
    except OSError as error:
        raise Skipped(f"--cold needs root on this machine: {error.strerror}") from error


def percentile(values: Sequence[float], share: int) -> float:
    """Nearest rank: one of the values, so that nothing is made up from few of them."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]
