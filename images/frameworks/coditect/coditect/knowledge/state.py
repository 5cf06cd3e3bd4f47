"""What must be remembered of a session between two of its messages; plain data that goes through JSON unchanged.

Every list has an upper bound: the oldest entry is forgotten (what was extracted of it stays).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar

MOST: Final = 24


@dataclass
class Asked:
    """An open question. `waiting`: the other side has not had its turn yet. `alone`: nothing else was said with it."""

    item: dict[str, Any]
    role: str
    stems: list[str]
    alone: bool
    waiting: bool = True


@dataclass
class Decided:
    id: str
    role: str
    stems: list[str]
    turn: int


@dataclass
class Failure:
    """An error that is not fixed yet. `command` is empty for one that a person reports.

    changes, where: what was done since, and in which message; why, weight: the sentence that explains it, and how well.
    `gone`: a later run failed with another error. `checked`: a command has succeeded since the last change.
    """

    message: str
    error: str
    command: str
    changes: list[str] = field(default_factory=list)
    where: str = ""
    why: str = ""
    weight: int = 0
    gone: bool = False
    checked: bool = False


@dataclass
class State:
    """turn counts what was said; calls: tools that run, id -> command; said: the assistant's
    last words. question: the last
    one; choice: the assistant's, if it has an `or` in it. answered: questions of a person, by the last reply."""

    turn: int = 0
    asked: list[Asked] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    said: str = ""
    choice: str = ""
    question: str = ""
    answered: list[dict[str, Any]] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)


def dump_state(state: State) -> str:
    return json.dumps(asdict(state), separators=(",", ":"))


def load_state(text: str) -> State:
    plain = json.loads(text)
    plain["asked"] = [Asked(**entry) for entry in plain["asked"]]
    plain["decided"] = [Decided(**entry) for entry in plain["decided"]]
    plain["failures"] = [Failure(**entry) for entry in plain["failures"]]
    return State(**plain)


Entry = TypeVar("Entry")


def remember(entries: list[Entry], entry: Entry) -> None:
    entries.append(entry)
    del entries[:-MOST]
