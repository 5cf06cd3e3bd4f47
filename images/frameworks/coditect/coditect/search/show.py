"""Messages on a terminal: headlines, a whole message, the neighbours of one. Finds nothing by itself but by id.

What stands in a message was written by anybody: control characters never reach the terminal.
"""

from __future__ import annotations

import time

from coditect.errors import CoditectError, UsageError
from coditect.search.find import COLUMNS, Hit, make_hits, read_names
from coditect.search.snippets import MARK_END, MARK_START

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any, Final

    from coditect.store import Store

ID_DIGITS: Final = 10
SHORTEST_PREFIX: Final = 4
BOLD: Final = "\033[1m"
NORMAL: Final = "\033[0m"
KEPT: Final = f"\n\t{MARK_START}{MARK_END}"
CONTROLS: Final = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in KEPT}


def headline(hit: Hit, *, bold: bool, mark: str = "") -> str:
    """Two lines: whence, and what."""
    kinds = "/".join(part for part in (hit.role, hit.kind, hit.tool.replace(" ", "+")) if part)
    head = f"{mark}{hit.id[:ID_DIGITS]}  {_moment(hit.time)}  {kinds}  {hit.project.rpartition('/')[2]}"
    return f"{clean(head).rstrip()}\n    {_mark(hit.snippet, bold=bold)}"


def _mark(snippet: str, *, bold: bool) -> str:
    """One line, matched words in bold where that can be seen."""
    line = " ".join(snippet.split()).translate(CONTROLS)
    start, end = (BOLD, NORMAL) if bold else ("", "")
    return line.replace(MARK_START, start).replace(MARK_END, end)


def clean(text: str) -> str:
    return text.translate(CONTROLS).replace(MARK_START, "").replace(MARK_END, "")


def whole(database: sqlite3.Connection, hit: Hit) -> str:
    text = database.execute("SELECT text FROM full_text WHERE rowid = ?", (hit.row,)).fetchone()[0]
    kinds = ", ".join(part for part in (hit.role, hit.kind, hit.tool) if part)
    facts = (
        ("id", hit.id),
        ("time", _moment(hit.time, seconds_too=True)),
        ("from", kinds),
        ("project", hit.project),
        ("session", hit.session),
    )
    lines = [f"{name:9}{value}" for name, value in facts if value.strip()]
    return clean("\n".join([*lines, "", text]))


def as_dict(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "time": None if hit.time is None else _iso(hit.time),
        "role": hit.role,
        "kind": hit.kind,
        "tool": hit.tool,
        "project": hit.project,
        "session": hit.session,
        "snippet": hit.snippet.replace(MARK_START, "").replace(MARK_END, ""),
    }


def record_of(store: Store, database: sqlite3.Connection, hit: Hit) -> dict[str, Any]:
    """The message as it was recorded, proved by its hash. Raises StoreError."""
    from coditect.search.lines import parse_line, read_line

    place = database.execute("SELECT offset, length, id FROM message WHERE row = ?", (hit.row,)).fetchone()
    with store.messages.open("rb") as messages:
        return parse_line(read_line(messages, *place)) or {}


def message_by_id(database: sqlite3.Connection, prefix: str) -> Hit:
    """The one message whose id begins so. Raises UsageError or CoditectError."""
    prefix = prefix.lower()
    if not SHORTEST_PREFIX <= len(prefix) <= 64 or set(prefix) - set("0123456789abcdef"):
        raise UsageError(f"{prefix!r} is no id", hint=f"an id is {SHORTEST_PREFIX} to 64 digits of the first column")
    bounds = (bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f")))
    sql = f"SELECT {COLUMNS} FROM message m WHERE m.id BETWEEN ? AND ? ORDER BY m.id LIMIT 6"  # noqa: S608 # constants
    rows = database.execute(sql, bounds).fetchall()
    if not rows:
        raise CoditectError(f"no message has an id that begins with {prefix}")
    if len(rows) > 1:
        some = ", ".join(row[1].hex()[: max(len(prefix) + 4, ID_DIGITS)] for row in rows)
        raise UsageError(f"more than one id begins with {prefix}", hint=f"give more digits: {some}")
    return Hit(rows[0], read_names(database, rows), "")


def neighbours(database: sqlite3.Connection, hit: Hit, count: int) -> list[Hit]:
    """The message with `count` before and after it in its session, by time."""
    session = database.execute("SELECT session FROM message WHERE row = ?", (hit.row,)).fetchone()
    ordered = "SELECT row FROM message WHERE session = ? ORDER BY time, row"
    rows = [row for (row,) in database.execute(ordered, session)]
    at = rows.index(hit.row)
    near = rows[max(0, at - count) : at + count + 1]
    marks = ",".join("?" * len(near))
    sql = f"SELECT {COLUMNS} FROM message m WHERE row IN ({marks}) ORDER BY m.time, m.row"  # noqa: S608 # question marks
    return make_hits(database, database.execute(sql, near).fetchall())


def _moment(seconds: float | None, *, seconds_too: bool = False) -> str:
    """Local time, as wide as every other one."""
    form = "%Y-%m-%d %H:%M:%S" if seconds_too else "%Y-%m-%d %H:%M"
    if seconds is None:
        return " " * 16
    try:
        return time.strftime(form, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds:16.0f}"  # no year that a calendar has


def _iso(seconds: float) -> str:
    import datetime

    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    try:
        return (start + datetime.timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return str(seconds)
