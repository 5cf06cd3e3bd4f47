"""All groups of checks, in the order in which they are shown, and the choice among them. Must not run a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from builder.core.problems import choose_hint
from builder.errors import ConfigError
from builder.suite import (
    cis,
    degraded,
    desktop,
    doors,
    framework,
    health,
    own,
    ports,
    promises,
    resources,
    timing,
    tooling,
)

if TYPE_CHECKING:
    from builder.suite.cases import Case
    from builder.suite.subject import Subject

Maker = Callable[["Subject"], "Iterator[Case]"]

GROUPS: Final[Mapping[str, Maker]] = {
    "tooling": lambda subject: tooling.make_cases(subject.resolved, subject.substitutions),
    "promises": lambda subject: promises.make_cases(subject.resolved),
    "cis": lambda subject: cis.make_cases(subject.resolved),
    "framework": framework.make_cases,
    "ports": lambda subject: ports.make_cases(subject.resolved),
    "doors": lambda subject: doors.make_cases(subject.resolved),
    "desktop": lambda subject: desktop.make_cases(subject.resolved),
    "degraded": lambda subject: degraded.make_cases(subject.resolved, subject.substitutions),
    "own": lambda subject: own.make_cases(subject),
    "resources": lambda subject: resources.make_cases(subject.resolved),
    "timing": lambda subject: timing.make_cases(subject.resolved),
    "health": lambda subject: health.make_cases(subject.resolved),
}


def choose_groups(only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    """The groups to run. Raises ConfigError for a name that is none."""
    for name in (*only, *skip):
        if name not in GROUPS:
            raise ConfigError(f"there is no group of checks {name!r}", hint=choose_hint(name, list(GROUPS)))
    return tuple(name for name in GROUPS if (not only or name in only) and name not in skip)


def collect_cases(subject: Subject, groups: Sequence[str]) -> tuple[Case, ...]:
    """The cases of `groups` that this workstation's promises call for, in the order of the groups."""
    found = [case for name in GROUPS if name in groups for case in GROUPS[name](subject)]
    return tuple(case for case in found if case.door is None or subject.has(case.door))
