"""Group `resources`: image size, memory and CPU of a workstation that nobody uses, held to the budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import wait_for
from builder.errors import NotReadyError
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

MEGA: Final = 1_000_000
SETTLE_S: Final = 45.0
Pick = Callable[["Subject"], float]


def make_cases(resolved: Resolved) -> Iterator[Case]:
    limits = resolved.budget
    if "image_mb" in limits:
        yield _size_case(limits["image_mb"])
    if "idle_mb" in limits:
        yield _idle_case("idle_mb", "MB of memory", limits["idle_mb"], _memory_mb)
    if "idle_cpu" in limits:
        yield _idle_case("idle_cpu", "% of a core", limits["idle_cpu"], _cpu_percent)


def _size_case(limit: float) -> Case:
    def run(subject: Subject) -> str:
        image = subject.engine.find_image(subject.container.image_id)
        size = image.size / MEGA if image else 0.0
        if not 0 < size <= limit:
            look = f"docker history {subject.container.image}; devbox plan"
            raise CheckFailure(f"an image of at most {limit:g} MB", f"{size:.0f} MB", look)
        return f"{size:.0f} MB"

    return Case(id="resources.image_mb", title=f"the image is at most {limit:g} MB", check=run)


def _idle_case(name: str, unit: str, limit: float, pick: Pick) -> Case:
    def run(subject: Subject) -> str:
        fresh = subject.fresh_one()
        fresh.leave()
        seen: list[float] = []

        def look() -> float | None:
            value = pick(fresh)
            seen.append(value)
            return value if value <= limit else None

        try:
            # The start leaves memory behind that the kernel takes back in a while: it has to settle below the limit.
            value = wait_for(name, look, deadline_s=SETTLE_S, interval_s=1.0)
        except NotReadyError as error:
            told = f"{min(seen):.1f} at best, within {SETTLE_S:g} s"
            raise CheckFailure(f"at most {limit:g} {unit} ({name})", told, "docker stats --no-stream") from error
        return f"{value:.1f} {unit}"

    title = f"idle it takes at most {limit:g} {unit}"
    return Case(id=f"resources.{name}", title=title, check=run, lane=Lane.APART, deadline_s=2 * SETTLE_S + 30)


def _memory_mb(subject: Subject) -> float:
    return subject.engine.memory(subject.container.id) / MEGA


def _cpu_percent(subject: Subject) -> float:
    return subject.engine.stats(subject.container.id).cpu * 100
