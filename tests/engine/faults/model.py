"""What a fault is: one row of the table, and what its making hands to the run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engine.faults.scene import Scene

KILLED = -9  # what Python says of a process that SIGKILL ended


class Family(Enum):
    """The chapters of docs/reliability.md, in its order."""

    ENGINE = "The engine"
    BUILD = "Builds and their sources"
    LIFE = "Up and down"
    INSIDE = "Inside the workstation"
    BACKUPS = "Backups"
    MACHINE = "Configuration and this machine"


class Start(Enum):
    """The workstation as the fault finds it. Its volumes are there, with data, in either case."""

    RUNNING = "running"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """How the verb is run while the fault is there."""

    environment: Mapping[str, str | None] = field(default_factory=dict)  # None takes a variable away
    wrap: tuple[str, ...] = ()  # a program before devbox that takes something away from it
    folder: Path | None = None  # another folder than the workstation's own
    during: Callable[[subprocess.Popen[str]], None] | None = None  # what happens while the verb works


Make = Callable[["Scene"], AbstractContextManager[Trouble]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row: what is broken, what is called then, and what has to come of it.

    `says` and `hint` are pieces of the message. An empty `hint` is for what ends well or on request, where there is
    nothing to mend.
    """

    id: str
    family: Family
    cause: str
    make: Make
    verb: str = "up"
    code: int
    says: str
    hint: str = ""
    seconds: float = 10.0  # at most, from the call (or the signal) to the end
    start: Start = Start.RUNNING
    pace: str = ""  # a marker of pytest: slow, long
    resumes: bool = False  # it stops in the middle of an act: what is there is ours, and the next one goes on from it
    again: bool = False  # nothing is put back before the plain command: the fault was an event, and is over

    @property
    def stops(self) -> bool:
        """Whether devbox ends before its work is done: by an error, a signal, or SIGKILL."""
        return self.fails or self.code in (130, KILLED)

    @property
    def fails(self) -> bool:
        """Whether devbox ends with an error of its own: not on request, and not with the code of what it ran inside."""
        return self.code not in (0, 130, KILLED) and self.family is not Family.INSIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Makes the rows of one family, in few words each."""

    family: Family

    def row(
        self,
        id: str,  # what it is
        cause: str,
        make: Make,
        code: int,
        says: str,
        hint: str = "",
        *,
        verb: str = "up",
        seconds: float = 10.0,
        start: Start = Start.RUNNING,
        pace: str = "",
        resumes: bool = False,
        again: bool = False,
    ) -> Fault:
        return Fault(
            id=id,
            family=self.family,
            cause=cause,
            make=make,
            verb=verb,
            code=code,
            says=says,
            hint=hint,
            seconds=seconds,
            start=start,
            pace=pace,
            resumes=resumes,
            again=again,
        )
