"""What a check ends with: a verdict, and for a failure what was expected, what was found, and how to look.

Owns values and the two ways in which a check speaks up. Must not run anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from builder.errors import VerifyError

if TYPE_CHECKING:
    from builder.model import Substitution


class Verdict(Enum):
    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"  # true and worth knowing; `--strict` makes a failure of it
    SKIPPED = "skipped"  # could not be tried here, and says why


class CheckFailure(VerifyError):
    """Raised by a check. `look` is a command or a place that shows a person what is wrong."""

    def __init__(self, expected: str, found: str, look: str = "") -> None:
        super().__init__(f"expected {expected}, found {found}", hint=look or None)
        self.expected = expected
        self.found = found
        self.look = look


class Skipped(VerifyError):
    """Raised by a check that cannot be tried: never a silent pass."""


class Finding(CheckFailure):
    """Raised by a check whose finding is a warning: a substitution that was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check, done."""

    id: str  # `doors.vnc-wrong-password`; stable
    group: str  # `doors`
    title: str  # what is checked, in words
    verdict: Verdict  # how it ended
    seconds: float  # that it took, among others
    expected: str = ""  # of a failure or a warning
    found: str = ""  # likewise
    look: str = ""  # a command or place that shows it
    note: str = ""  # why it was skipped, or a figure worth showing


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run. `phases` is the last start of the subject, `starts` those of the throw-away ones that were timed."""

    subject: str  # name of the container
    image: str  # its tag
    profile: str  # of the image
    base: str  # that is used
    requested_base: str  # that was asked for
    substitutions: tuple[Substitution, ...]
    results: tuple[Result, ...]
    seconds: float  # of the whole run
    phases: Mapping[str, float] = field(default_factory=dict)  # phase -> seconds after the start
    starts: tuple[Mapping[str, float], ...] = ()  # the same of each timed start

    def count(self, verdict: Verdict) -> int:
        return sum(result.verdict is verdict for result in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.verdict is Verdict.FAILED)


def first_line(text: str) -> str:
    """For a place that has one line only."""
    head, more, _ = text.strip().partition("\n")
    return f"{head} ..." if more else head
