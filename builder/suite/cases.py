"""A check as a value: id, title, the function, and how it may be run. Must not run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from builder.suite.subject import Subject

# A check returns nothing, or a figure worth showing beside its result; it raises CheckFailure, Finding or Skipped.
CheckFunction = Callable[["Subject"], "str | None"]

DEADLINE_S: Final = 30.0


class Lane(Enum):
    """With whom a check may share its time."""

    TOGETHER = "together"  # disturbs nobody: with everything but ALONE
    SCREEN = "screen"  # looks at the screen, types or resizes: one of these after the other
    APART = "apart"  # on `Subject.fresh_one()`, where it may kill what it likes: one of these after the other
    ALONE = "alone"  # measures time: when all the others have ended, one after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    id: str  # group.name, stable: people put it into scripts
    title: str
    check: CheckFunction
    lane: Lane = Lane.TOGETHER
    deadline_s: float = DEADLINE_S
    door: str | None = None  # needs this port: where it is not promised, there is nothing to check

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]


def case(
    id: str, title: str, *, lane: Lane = Lane.TOGETHER, deadline_s: float = DEADLINE_S, door: str | None = None
) -> Callable[[CheckFunction], Case]:
    """Decorator: the function becomes the Case that runs it."""

    def make(check: CheckFunction) -> Case:
        return Case(id=id, title=title, check=check, lane=lane, deadline_s=deadline_s, door=door)

    return make
