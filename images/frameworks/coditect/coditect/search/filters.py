"""What narrows a search besides words: time, project, role, kind, tool."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from coditect.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
FIELDS = ("project", "role", "kind", "tool")


class Filters:
    """Conditions on `message m`, with their values. `empty` says which of them no message can meet."""

    __slots__ = ("conditions", "empty", "values")

    def __init__(self) -> None:
        self.conditions = ""
        self.values: list[object] = []
        self.empty: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        self.conditions += f" AND {condition}"
        self.values += values


def make_filters(database: sqlite3.Connection, given: Mapping[str, str]) -> Filters:
    """From options that were given: since, until and the four fields. Raises UsageError for a date that is none."""
    filters = Filters()
    if "since" in given:
        filters.add("m.time >= ?", read_moment(given["since"]))
    if "until" in given:
        filters.add("m.time < ?", read_moment(given["until"], end=True))
    for field in FIELDS:
        if field in given:
            numbers = _numbers(database, field, given[field])
            filters.add(f"m.{field} IN ({','.join(map(str, numbers))})")
            if not numbers:
                filters.empty.append(f"no message has {field} {given[field]!r}{_there_are(database, field)}")
    return filters


def _numbers(database: sqlite3.Connection, field: str, wanted: str) -> list[int]:
    names = database.execute("SELECT id, text FROM name WHERE field = ?", (field,))
    matches = _matches_project if field == "project" else _matches_tool if field == "tool" else _matches
    return [number for number, text in names if matches(text, wanted)]


def _matches(text: str, wanted: str) -> bool:
    return text.lower() == wanted.lower()


def _matches_tool(text: str, wanted: str) -> bool:
    return wanted.lower() in text.lower().split()


def _matches_project(text: str, wanted: str) -> bool:
    """The folder itself, its last names (`devbox` for /srv/devbox), or a folder above it."""
    if wanted.startswith("."):
        from pathlib import Path

        wanted = str(Path(wanted).absolute().resolve())
    wanted = wanted.rstrip("/")
    return text == wanted or text.endswith(f"/{wanted.lstrip('/')}") or text.startswith(f"{wanted}/")


def _there_are(database: sqlite3.Connection, field: str) -> str:
    sql = "SELECT text FROM name WHERE field = ? AND text <> '' ORDER BY text LIMIT 12"
    there = [text for (text,) in database.execute(sql, (field,))]
    return f"; there are: {', '.join(there)}" if there else ""


def read_moment(text: str, *, end: bool = False) -> float:
    """`2h` ago, a date (its begin, or its end), or a date with time; local time unless it says otherwise."""
    import time

    count, unit = text[:-1], text[-1:]
    if count.isdecimal() and len(count) < 10 and unit in UNITS:
        return time.time() - int(count) * UNITS[unit]
    import datetime

    from coditect.moments import read_iso

    try:
        moment = read_iso(text)
        if end and len(text.strip()) <= len("2026-01-31"):
            if moment.date() == datetime.date.max:
                return float("inf")  # the calendar has no day after it
            moment += datetime.timedelta(days=1)
        return moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise _no_date(text) from error


def _no_date(text: str) -> UsageError:
    from coditect.errors import UsageError

    return UsageError(f"{text!r} is no date", hint="like 2026-01-31, 2026-01-31T18:00, 7d, 2h or 30m")
