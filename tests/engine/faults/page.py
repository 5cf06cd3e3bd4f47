"""docs/reliability.md: the table as a person reads it, with the seconds that each fault took when it was last made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.engine.faults.model import KILLED, Family, Fault

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = ROOT / "docs/reliability.md"
HEAD: Final = """\
# When something fails

<!-- Written by `make reliability` from tests/engine/faults: change the table there. -->

Each line is a fault that the tests make: with the real engine and real disks, ports, signals and servers wherever that
can be done, else by a relay in front of the engine that changes one answer. What kills the engine, or fills its disk,
is done to a second one, on which both workstations are then. For each of them a test holds that

- the exit code is the one shown, of the [documented families](reference/exit-codes.md),
- there is one message with the words shown, the next step behind `hint:`, and no traceback,
- it comes within the time allowed; shown are the seconds that it took when this page was written,
- nothing is left behind (containers, networks, volumes, images, temporary files, processes), and no byte changes in the
  projects of this workstation and in the volumes of another one that stays up all the time,
- once the fault is gone, a plain `devbox up` ends with a workstation that can be used.

Where a verb is broken off in the middle of an act, the container or network that it had made stays: its labels say
whose it is, and the next verb goes on from there. All else is looked at before that, and is as it was; after SIGKILL
there may be a file that is half written, which the next verb removes. SIGKILL has no message. The code of `devbox exec`
is that of the command that ran.

Not here, since they have tests of their own: services that die inside and homes that are full or damaged
(`tests/engine/test_inside.py`, `test_home.py`), an `up` that is stopped at any of its steps (`test_converge.py`), a
restore that is broken off, and files that a backup cannot read (`test_backup.py`); in `make test-long` a container
that is killed fifty times at each level, and a hundred cycles of `up` and `down` (`test_leaks.py`). What may go
wrong on the way to an engine on another machine is in `test_remote.py`.
"""


@dataclass(slots=True)
class Seconds:
    """What each fault took in this session."""

    seen: dict[str, float] = field(default_factory=dict)

    def note(self, fault: Fault, seconds: float) -> None:
        self.seen[fault.id] = seconds


def render_page(faults: Iterable[Fault], seconds: Mapping[str, float]) -> str:
    rows = tuple(faults)
    chapters = [
        _render_family(family, [fault for fault in rows if fault.family is family], seconds) for family in Family
    ]
    return "\n".join([HEAD, *(chapter for chapter in chapters if chapter)])


def _render_family(family: Family, faults: list[Fault], seconds: Mapping[str, float]) -> str:
    if not faults:
        return ""
    lines = [
        f"## {family.value}",
        "",
        "| fault | command | code | says | hint | seconds |",
        "|---|---|---|---|---|---|",
        *(_render_row(fault, seconds.get(fault.id)) for fault in faults),
    ]
    return "\n".join(lines) + "\n"


def _render_row(fault: Fault, seconds: float | None) -> str:
    code = "killed" if fault.code == KILLED else str(fault.code)
    took = "" if seconds is None else f"{seconds:.1f}"
    cells = (fault.cause, f"`devbox {fault.verb}`", code, fault.says, fault.hint, took)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def without_seconds(page: str) -> str:
    """What of a page does not depend on the day."""
    return re.sub(r" \| [0-9.]*\s*\|$", " |", page, flags=re.MULTILINE)
