"""What a headline shows of a message: the matched words and what stands around them, or the beginning."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Final

MARK_START: Final = "\x01"
MARK_END: Final = "\x02"
TOKENS: Final = 20
BEGINNING: Final = 160
AROUND: Final = 70


def snippet(database: sqlite3.Connection, expression: str, row: int, typed: Iterable[str]) -> str:
    """SQLite marks whole words in any form. Where only pieces matched (`fields` in readFields): what was typed."""
    sql = "SELECT snippet(full_text, 0, ?, ?, '…', ?) FROM full_text WHERE full_text MATCH ? AND rowid = ?"
    found: str = database.execute(sql, (MARK_START, MARK_END, TOKENS, expression, row)).fetchone()[0]
    return found if MARK_START in found else _inside(database, row, typed) or found


def beginning(database: sqlite3.Connection, row: int) -> str:
    sql = "SELECT substr(text, 1, ?) FROM full_text WHERE rowid = ?"
    text: str = database.execute(sql, (BEGINNING + 1, row)).fetchone()[0]
    return text if len(text) <= BEGINNING else f"{text[:BEGINNING]}…"


def _inside(database: sqlite3.Connection, row: int, typed: Iterable[str]) -> str:
    text: str = database.execute("SELECT text FROM full_text WHERE rowid = ?", (row,)).fetchone()[0]
    lower = text.lower()
    if len(lower) != len(text):  # a few letters become two: places in one are not places in the other
        return ""
    for word in typed:
        at = lower.find(word.lower())
        if at >= 0:
            start, end = max(0, at - AROUND), at + len(word)
            before, after = text[start:at], text[end : end + AROUND]
            head, tail = "…" if start else "", "…" if end + AROUND < len(text) else ""
            return f"{head}{before}{MARK_START}{text[at:end]}{MARK_END}{after}{tail}"
    return ""
