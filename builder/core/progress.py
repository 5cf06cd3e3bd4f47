"""How far a build has come, read from what its steps write, and which step of the plan an instruction belongs to.

Pure: lines and names in, numbers and steps out. Must not know where the lines come from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from builder.model import Plan, Step

# "3 upgraded, 267 newly installed, 0 to remove and 1 not upgraded."; "1 reinstalled, " may stand between.
_SUMMARY: Final = re.compile(r"^(\d+) upgraded, (\d+) newly installed,(?: (\d+) reinstalled,)?")
_UNPACKED: Final = re.compile(r"^Unpacking \S+ ")
_SET_UP: Final = re.compile(r"^Setting up \S+ ")


@dataclass(slots=True)
class AptProgress:
    """Packages done of packages to do, from the output of one apt-get after the other.

    Unpacking and setting up are half a package each, so that the number moves during both.
    """

    total: int = 0
    _halves: int = 0

    @property
    def done(self) -> int:
        return min(self._halves // 2, self.total)

    def read(self, line: str) -> bool:
        """Take one line; True when `done` or `total` changed."""
        before = (self.done, self.total)
        if found := _SUMMARY.match(line):
            self.total += sum(int(number) for number in found.groups() if number)
        elif _UNPACKED.match(line) or _SET_UP.match(line):
            self._halves += 1
        return (self.done, self.total) != before


# "[stage 3/9] RUN ...": the name of a stage, or "stage-1" where it has none.
_VERTEX: Final = re.compile(r"^\[(?:(?P<stage>[^\s\]]+) +)?\d+/\d+\] (?P<text>.*)$", re.DOTALL)


# The others (SHELL, ENV, LABEL ...) change the image's description only, and no vertex of the build is theirs.
_TOLD: Final = ("ADD", "COPY", "RUN", "WORKDIR")


def map_steps(dockerfile: str, plan: Plan) -> Callable[[str], Step | None]:
    """A function from the name of a vertex to the step of the plan whose comment stands above that instruction.

    A step begins at its comment, `# <name>: <origin>`, and lasts until the next one. Instructions are known by stage
    and text, not by number: what BuildKit counts in "3/9" differs between its versions.
    """
    places = {(stage, _squeeze(text)): step for stage, text, step in read_steps(dockerfile, plan)}

    def find(vertex: str) -> Step | None:
        found = _VERTEX.match(vertex)
        return places.get((found["stage"] or "stage-0", _squeeze(found["text"]))) if found else None

    return find


def count_instructions(dockerfile: str, plan: Plan) -> Mapping[str, int]:
    """How many instructions each step has that BuildKit tells of, by its name: it is done when all of them are."""
    told = (step for _, text, step in read_steps(dockerfile, plan) if text.startswith(_TOLD))
    return Counter(step.name for step in told if step is not None)


def read_steps(dockerfile: str, plan: Plan) -> Iterator[tuple[str, str, Step | None]]:
    """(stage, text, step) of every instruction."""
    steps = {f"{step.name}: {step.origin}": step for step in plan.steps}
    step: Step | None = None
    stage, stages = "", 0
    for line in _instructions(dockerfile):
        words = line.split()
        if line.startswith("#"):
            step = steps.get(line[1:].strip(), step)
        elif words[0].upper() == "FROM":
            named = len(words) > 3 and words[-2].upper() == "AS"
            stage, stages = (words[-1].lower() if named else f"stage-{stages}"), stages + 1
        else:
            yield stage, line, step


def _instructions(dockerfile: str) -> Iterator[str]:
    """Whole instructions, continuation lines joined, and the comments between them."""
    parts: list[str] = []
    for raw in dockerfile.splitlines():
        line = raw.strip()
        if not line or (parts and line.startswith("#")):
            continue  # blank lines and comments inside an instruction do not end it
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\") or line.startswith("#"):
            yield "".join(parts)
            parts = []


def _squeeze(text: str) -> str:
    return "".join(text.split())
