"""From a query to messages: first those with all of its words, then, where these are few, those with most of them.

Reads the index only. Imported by every query: what few queries need is imported by them.
"""

from __future__ import annotations

from itertools import combinations
from math import log

from coditect.search.query import any_of, quote
from coditect.search.snippets import beginning, snippet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from typing import Any, Final

    from coditect.search.filters import Filters
    from coditect.search.query import Query, Term

NEWEST: Final = "m.time DESC, m.row DESC"  # those without a time last
RANKED: Final = 3000  # ranking takes a few microseconds for each message that matches
PARTIAL_GROUPS: Final = 6
PARTIAL_SEARCHES: Final = 16
PARTIAL_HITS: Final = 50
COLUMNS: Final = "m.row, m.id, m.time, m.role, m.kind, m.tool, m.project, m.session"


class Hit:
    """A message that was found, with what a headline says. Matched words stand between the two marks."""

    __slots__ = ("id", "kind", "project", "role", "row", "session", "snippet", "time", "tool")

    def __init__(self, row: Sequence[Any], names: dict[int, str], snippet: str) -> None:
        self.row: int = row[0]
        self.id: str = row[1].hex()
        self.time: float | None = row[2]
        self.role, self.kind, self.tool, self.project, self.session = (names[number] for number in row[3:8])
        self.snippet = snippet


class Found:
    """Hits, best first; remarks on how the query was read; words that no message has, nor one like them."""

    __slots__ = ("hits", "remarks", "unknown")

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.remarks: list[str] = []
        self.unknown: list[str] = []


def find(database: sqlite3.Connection, query: Query, filters: Filters, limit: int) -> Found:
    found = Found()
    if query.left_out:
        found.remarks.append(f"the query is long: {query.left_out} of its words were left out")
    if not query.groups:
        found.hits = _newest(database, query, filters, limit)
        return found
    groups = [group for group in (_expressions(database, group, found) for group in query.groups) if group]
    if len(groups) == len(query.groups):
        _Search(database, query, filters, limit, found).add(groups)
    if groups and len(query.groups) > 1 and len(found.hits) < min(limit, PARTIAL_HITS):
        _add_partial(_Search(database, query, filters, min(limit, PARTIAL_HITS), found), groups)
    return found


class _Search:
    """Ranked searches of one query, one after another: none finds what one before it found."""

    __slots__ = ("_database", "_excluded", "_filters", "_found", "_limit", "_typed")

    def __init__(self, database: sqlite3.Connection, query: Query, filters: Filters, limit: int, found: Found) -> None:
        self._database, self._filters, self._found, self._limit = database, filters, found, limit
        self._typed = query.words
        self._excluded = any_of([term.expression for term in query.excluded]) if query.excluded else ""

    @property
    def count(self) -> int:
        return len(self._found.hits)

    @property
    def is_full(self) -> bool:
        return self.count >= self._limit

    def remark(self, text: str) -> None:
        if text not in self._found.remarks:
            self._found.remarks.append(text)

    def add(self, groups: Sequence[str]) -> None:
        """Messages with all of the groups, the best by bm25; of very many only the newest are ranked."""
        wanted = " AND ".join(groups)
        known = ",".join(str(hit.row) for hit in self._found.hits)
        source = (
            "FROM full_text CROSS JOIN message m ON m.row = full_text.rowid WHERE full_text MATCH ?"
            f" AND full_text.rowid NOT IN ({known}){self._filters.conditions}"
        )
        values = [f"({wanted}) NOT {self._excluded}" if self._excluded else wanted, *self._filters.values]
        ranked = max(RANKED, self._limit)
        newest = f"SELECT full_text.rowid {source} ORDER BY full_text.rowid DESC LIMIT 1 OFFSET {ranked}"
        if oldest := self._database.execute(newest, values).fetchone():
            source += f" AND full_text.rowid > {oldest[0]}"
            self.remark(f"more than {ranked:,} messages match; these are the best of the newest {ranked:,}")
        best = f"SELECT {COLUMNS} {source} ORDER BY rank LIMIT ?"
        rows = self._database.execute(best, [*values, self._limit - self.count]).fetchall()
        names = read_names(self._database, rows)
        for row in rows:
            self._found.hits.append(Hit(row, names, snippet(self._database, wanted, row[0], self._typed)))

    def weigh(self, group: str) -> float:
        """More for what is rarer."""
        count = self._database.execute("SELECT count(*) FROM full_text WHERE full_text MATCH ?", (group,)).fetchone()[0]
        return log(self._database.execute("SELECT messages + 1 FROM state").fetchone()[0] / (count + 1) + 1)


def _add_partial(search: _Search, groups: Sequence[str]) -> None:
    """Fill up with messages that lack some of the words: those that lack the least, as words weigh by their rarity.

    Where some messages have all of the words, one may be lacking; where none has, any.
    """
    full = search.count
    weights = {group: search.weigh(group) for group in groups}
    heavy = sorted(weights, key=weights.__getitem__, reverse=True)[:PARTIAL_GROUPS]
    sizes = range(len(groups) - 1, len(groups)) if full else range(1, len(heavy) + 1)
    subsets = [subset for size in sizes if size > bool(full) for subset in combinations(heavy, size)]
    subsets.sort(key=lambda subset: -sum(weights[group] for group in subset))
    for subset in subsets[:PARTIAL_SEARCHES]:
        if search.is_full:
            break
        search.add(subset)
    if search.count > full:
        which = f"only the first {full} have" if full else "no message has"
        search.remark(f"{which} all of the words; {'then ' if full else ''}those with most of them")


def _expressions(database: sqlite3.Connection, group: Sequence[Term], found: Found) -> str:
    """What to ask for a group: its terms in all forms that occur, else corrected ones; empty when there are none."""
    asked = [form for term in group for form in _forms(database, term) if _occurs(database, form)]
    if not asked:
        asked = [form for term in group if not term.is_phrase for form in _corrected(database, term.text, found)]
    if not asked:
        found.unknown += [term.text for term in group]
    return any_of(asked) if asked else ""


def _forms(database: sqlite3.Connection, term: Term) -> list[str]:
    if term.is_phrase or not (term.text.isascii() and term.text.isalpha()):
        return [term.expression]
    from coditect.search.inflection import other_forms

    return [term.expression, *map(quote, _written(database, other_forms(term.text.lower())))]


def _written(database: sqlite3.Connection, words: Iterable[str]) -> list[str]:
    """Those of the words that some message has as they are."""
    wanted = sorted(words)
    marks = ",".join("?" * len(wanted))
    sql = f"SELECT term FROM word WHERE term IN ({marks})"  # noqa: S608 # question marks only
    return [term for (term,) in database.execute(sql, wanted)]


def _occurs(database: sqlite3.Connection, expression: str) -> bool:
    sql = "SELECT 1 FROM full_text WHERE full_text MATCH ? LIMIT 1"
    return database.execute(sql, (expression,)).fetchone() is not None


def _corrected(database: sqlite3.Connection, text: str, found: Found) -> list[str]:
    """What to ask in place of a word that no message has. Of an identifier: its parts, each corrected if need be."""
    from coditect.search.inflection import other_forms
    from coditect.search.spelling import corrections
    from coditect.search.tokens import humps, tokens

    parts = [part for token in tokens(text) for part in humps(token) or [token]]
    asked = []
    for part in parts:
        near = [part]
        if not _occurs(database, quote(part)):
            near = corrections(database, part)
            if not near:
                return []
            found.remarks.append(f"no message has {part!r}; searched for {', '.join(near)}")
            near += _written(database, {form for word in near for form in other_forms(word)} - {*near})
        asked.append(any_of([quote(word) for word in near]))
    return [f"({' AND '.join(asked)})"] if len(asked) > 1 else asked


def _newest(database: sqlite3.Connection, query: Query, filters: Filters, limit: int) -> list[Hit]:
    """Without words to search for: the newest that the filters leave."""
    excluded = [any_of([term.expression for term in query.excluded])] if query.excluded else []
    without = " AND m.row NOT IN (SELECT rowid FROM full_text WHERE full_text MATCH ?)" if excluded else ""
    sql = f"SELECT {COLUMNS} FROM message m WHERE 1{filters.conditions}{without} ORDER BY {NEWEST} LIMIT ?"  # noqa: S608
    rows = database.execute(sql, (*filters.values, *excluded, limit)).fetchall()
    return make_hits(database, rows)


def make_hits(database: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> list[Hit]:
    """Hits that nothing was searched for in: the snippet is the beginning."""
    names = read_names(database, rows)
    return [Hit(row, names, beginning(database, row[0])) for row in rows]


def read_names(database: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> dict[int, str]:
    """Of the roles, kinds, tools, projects and sessions in these rows."""
    numbers = {number for row in rows for number in row[3:8]}
    names: dict[int, str] = {}
    ordered = sorted(numbers)
    for start in range(0, len(ordered), 500):  # SQLite takes a bounded number of values
        some = ordered[start : start + 500]
        marks = ",".join("?" * len(some))
        sql = f"SELECT id, text FROM name WHERE id IN ({marks})"  # noqa: S608 # question marks only
        names.update(database.execute(sql, some).fetchall())
    return names
