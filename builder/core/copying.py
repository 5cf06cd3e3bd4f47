"""`devbox cp SOURCE TARGET`: which of the two is in the workstation, and where exactly a copy lands, as `cp` has it.

The same rules for both directions. Knows no file system: what is there is told.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import Enum
from typing import Final

from builder.core.problems import shown
from builder.errors import ConfigError

INSIDE: Final = ":"
STREAM: Final = "-"
FORM: Final = "a path in the workstation begins with a colon: `devbox cp FILE :PATH`, `devbox cp :PATH FILE`"


class Kind(Enum):
    """What is at a path."""

    MISSING = "missing"
    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What is copied where; paths of the workstation are absolute, or below its home. `-` is a tar, on the outside."""

    source: str
    target: str
    into: bool  # the workstation; else out of it

    @property
    def contents(self) -> bool:
        """Only what is in a folder, as `docker cp` has it."""
        return posixpath.basename(self.source) in (".", "..") or not self.source.strip("/")

    @property
    def name(self) -> str:
        """That of the source."""
        return posixpath.basename(self.source.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is at a path and at the folder that it is in; `size` in bytes, 0 where that is not known."""

    kind: Kind
    parent: Kind
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """An existing folder, and what the source is called there; without a name its contents go into the folder."""

    folder: str
    name: str


def parse_ends(source: str, target: str) -> Ends:
    """Raises ConfigError unless exactly one of them is in the workstation."""
    inside = [word.startswith(INSIDE) for word in (source, target)]
    if inside == [False, False]:
        raise ConfigError(f"neither {shown(source)} nor {shown(target)} is in the workstation", hint=FORM)
    if inside == [True, True]:
        hint = "`devbox exec -- cp -r FROM TO` copies inside"
        raise ConfigError("both are in the workstation", where="devbox cp", hint=hint)
    if not source.removeprefix(INSIDE):
        raise ConfigError("no source is named", where="devbox cp", hint=f"`:.` is all of the home; {FORM}")
    if inside[0]:
        return Ends(source=_inside(source), target=target or ".", into=False)
    return Ends(source=source, target=_inside(target), into=True)


def _inside(word: str) -> str:
    """No shell has expanded a tilde behind the colon."""
    path = word.removeprefix(INSIDE)
    return path.removeprefix("~").lstrip("/") or "." if path == "~" or path.startswith("~/") else path or "."


def find_landing(ends: Ends, source: Kind, there: Look) -> Landing:
    """Where a copy of `source` (a tar counts as a folder) goes. Raises ConfigError where `cp` would refuse."""
    target = ends.target
    if there.kind is Kind.FOLDER:
        only_contents = ends.contents or ends.source == STREAM
        return Landing(folder=target, name="" if only_contents else ends.name)
    if ends.source == STREAM:
        raise _refused(ends, "a tar is unpacked into a folder that is there", _make(ends, target))
    folder, name = posixpath.split(target.rstrip("/"))
    if there.kind is Kind.FILE:
        if source is Kind.FOLDER or target.endswith("/"):
            raise _refused(ends, "it is a file, not a folder", "name another target, or remove that file")
        return Landing(folder=folder or ".", name=name)
    if there.parent is Kind.FILE:
        raise _refused(ends, "the folder that it would be in is a file", "name another target")
    if there.parent is Kind.MISSING:
        raise _refused(ends, "the folder that it would be in is not there", _make(ends, folder))
    if source is Kind.FILE and target.endswith("/"):
        raise _refused(ends, "there is no such folder", _make(ends, target))
    return Landing(folder=folder or ".", name=name)


def _refused(ends: Ends, why: str, hint: str) -> ConfigError:
    return ConfigError(why, where=f"{INSIDE if ends.into else ''}{ends.target}", hint=hint)


def _make(ends: Ends, folder: str) -> str:
    return f"`{'devbox exec -- ' if ends.into else ''}mkdir -p {folder}` makes it"
