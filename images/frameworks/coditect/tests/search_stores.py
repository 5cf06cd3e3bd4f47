"""Small stores for the tests of search, and how to ask them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from search_corpus import Message, commit, make_messages, write_store

from coditect.search.build import update
from coditect.search.database import open_to_read
from coditect.search.filters import make_filters
from coditect.search.find import Found, Hit, find
from coditect.search.query import parse_query
from coditect.search.show import neighbours
from coditect.store import Store


def said(text: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    """A record of a person's words in a session."""
    moment = 1_760_000_000 + 60 * number
    return {"role": "user", "content": text, "timestamp": moment, "sessionId": "s1", "cwd": "/w/a", **fields}


def line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


def make_store(root: Path, records: Sequence[dict[str, Any] | str]) -> Store:
    """A store with its index. Plain text becomes a record, a minute after the one before."""
    lines = [line_of(said(one, number) if isinstance(one, str) else one) for number, one in enumerate(records)]
    write_store(root, lines)
    update(Store(root))
    return Store(root)


def make_corpus(root: Path, count: int, seed: int) -> tuple[Store, list[Message]]:
    """A store without an index."""
    messages = list(make_messages(count, seed))
    write_store(root, [message.line for message in messages])
    return Store(root), messages


def append(store: Store, lines: Sequence[bytes]) -> None:
    """As an ingest would: first the lines, then the commit."""
    with store.messages.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)
    commit(store.root, store.messages.stat().st_size)


def ask(store: Store, typed: str, limit: int = 10, **given: str) -> Found:
    with closing(open_to_read(store)) as database:
        return find(database, parse_query(typed), make_filters(database, given), limit)


def texts(store: Store, typed: str, limit: int = 10, **given: str) -> list[str]:
    """The texts of the hits, whole."""
    with closing(open_to_read(store)) as database:
        hits = find(database, parse_query(typed), make_filters(database, given), limit).hits
        return [_text(database, hit) for hit in hits]


def around(store: Store, hit: Hit, count: int) -> list[str]:
    with closing(open_to_read(store)) as database:
        return [_text(database, near) for near in neighbours(database, hit, count)]


def _text(database: Any, hit: Hit) -> str:
    return str(database.execute("SELECT text FROM full_text WHERE rowid = ?", (hit.row,)).fetchone()[0])


def dump(store: Store) -> list[list[Any]]:
    """All that the index says, in an order of its own."""
    with closing(open_to_read(store)) as database:
        names = dict(database.execute("SELECT id, text FROM name"))
        messages = [
            [*row[:5], *(names[number] for number in row[5:])] for row in database.execute("SELECT * FROM message")
        ]
        tables = ("SELECT * FROM word ORDER BY term", "SELECT rowid, * FROM full_text", "SELECT * FROM state")
        return [messages, *(database.execute(table).fetchall() for table in tables)]
