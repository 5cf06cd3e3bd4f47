"""What is extracted: an item, its identity, and how its one line is written. Pure; knows neither rules nor files."""

from __future__ import annotations

import datetime
import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Union

from coditect.moments import in_calendar

KINDS: Final = ("decision", "pattern", "question", "fix")
LONGEST: Final = 240

_SECRET: Final = re.compile(
    r"(?P<keep>\b\w*(?:password|passwd|token|secret|api_?key)\w*\s*[=:]\s*[\"']?)[^\s\"']+"
    r"|\b(?:gh[pousr]_|github_pat_|sk-|xox[abps]-|AKIA)[\w-]{8,}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Item:
    """`source` is the id of the message it was said in; `cause` of a fix is the message that showed the error."""

    kind: str
    id: str
    statement: str
    project: str
    session: str
    time: float | None
    source: str
    cause: str = ""

    @property
    def day(self) -> str:
        """UTC, so that every machine writes the same page; "" without a time, and for one that no calendar has."""
        if self.time is None or not in_calendar(self.time):
            return ""
        return datetime.datetime.fromtimestamp(self.time, datetime.timezone.utc).strftime("%Y-%m-%d")

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "day": self.day}


def item_id(kind: str, project: str, statement: str) -> str:
    """From what was said and not from where it stands: a session resumed under a new name says nothing new."""
    words = " ".join(re.findall(r"\w+", statement.lower()))
    return hashlib.sha256(f"{kind}\0{project}\0{words}".encode("utf-8", "replace")).hexdigest()[:12]


def one_line(text: str, longest: int = LONGEST) -> str:
    """Without line breaks, comment marks and what looks like a secret: the line goes into Markdown and into Git."""
    line = " ".join(text.replace("<!--", "<! --").replace("-->", "-- >").split())
    line = _SECRET.sub(lambda found: (found["keep"] or "") + "[hidden]", line)
    line = line.encode("utf-8", "replace").decode()
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


@dataclass(frozen=True)
class Add:
    item: Item


@dataclass(frozen=True)
class Drop:
    id: str


@dataclass(frozen=True)
class Ran:
    """A command that was run; how often it was in this project, the database knows."""

    command: str


Change = Union[Add, Drop, Ran]
