"""search.sqlite: its schema, how it is opened, and the lock of those who write it. Everything in it can be made anew.

A rollback journal, not a write-ahead log: one file that a backup can copy, readers need no right to write beside it,
and a writer shuts readers out for no longer than one commit takes.

Imported by every query: no dataclasses and no typing here, which take longer than the query does.
"""

from __future__ import annotations

import fcntl
import sqlite3
import zlib
from contextlib import closing, contextmanager

from coditect.store import SEARCH_LOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from coditect.store import Store

SCHEMA_VERSION: Final = 1
WAIT_S: Final = 30
TOKENIZER: Final = "porter unicode61 remove_diacritics 2"

# message: role, kind, tool, project and session are numbers of names; each text is kept once.
# word: what is written in messages, to correct what is typed in queries. mirror: the term backwards, to find it by its
# end; messages: about how many have it.
# full_text keeps the texts too: a snippet then needs neither the messages file nor a parser.
SCHEMA: Final = f"""
CREATE TABLE state (
    offset INTEGER NOT NULL, messages INTEGER NOT NULL, broken INTEGER NOT NULL,
    last_length INTEGER NOT NULL, last_crc INTEGER NOT NULL
);
INSERT INTO state VALUES (0, 0, 0, 0, 0);
CREATE TABLE name (id INTEGER PRIMARY KEY, field TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (field, text));
CREATE TABLE message (
    row INTEGER PRIMARY KEY, id BLOB NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, time REAL,
    role INTEGER NOT NULL, kind INTEGER NOT NULL, tool INTEGER NOT NULL, project INTEGER NOT NULL,
    session INTEGER NOT NULL
);
CREATE INDEX message_id ON message (id);
CREATE INDEX message_session ON message (session, time);
CREATE TABLE word (term TEXT PRIMARY KEY, mirror TEXT NOT NULL, messages INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX word_mirror ON word (mirror, messages);
CREATE VIRTUAL TABLE full_text USING fts5 (text, pieces, tokenize = '{TOKENIZER}');
INSERT INTO full_text (full_text, rank) VALUES ('hashsize', 16777216);
INSERT INTO full_text (full_text, rank) VALUES ('rank', 'bm25(1.0, 0.6)');
PRAGMA user_version = {SCHEMA_VERSION};
"""  # noqa: S608 # two constants


class State:
    """How far the index has come: bytes of the messages file, messages found in them, lines that were none.

    The last line that was read tells a messages file that grew from one that was replaced.
    """

    __slots__ = ("broken", "last_crc", "last_length", "messages", "offset")

    def __init__(
        self, offset: int = 0, messages: int = 0, broken: int = 0, last_length: int = 0, last_crc: int = 0
    ) -> None:
        self.offset, self.messages, self.broken = offset, messages, broken
        self.last_length, self.last_crc = last_length, last_crc


def read_state(database: sqlite3.Connection) -> State | None:
    """None when this is no index of ours, or one of another schema. Raises sqlite3.DatabaseError for a damaged file."""
    if database.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
        return None
    row = database.execute("SELECT offset, messages, broken, last_length, last_crc FROM state").fetchone()
    return State(*row) if row else None


def write_state(database: sqlite3.Connection, state: State) -> None:
    row = (state.offset, state.messages, state.broken, state.last_length, state.last_crc)
    database.execute("UPDATE state SET offset = ?, messages = ?, broken = ?, last_length = ?, last_crc = ?", row)


def ends_alike(store: Store, state: State, committed: int) -> bool:
    """Whether the last line that was indexed still lies where it lay: quick, and wrong only about what lies before."""
    if state.offset > committed:
        return False
    try:
        with store.messages.open("rb") as messages:
            messages.seek(state.offset - state.last_length)
            return zlib.crc32(messages.read(state.last_length)) == state.last_crc
    except FileNotFoundError:
        return state.offset == 0


def open_to_read(store: Store) -> sqlite3.Connection:
    """Raises sqlite3.OperationalError when there is no file."""
    return sqlite3.connect(f"{store.search.as_uri()}?mode=ro", uri=True, timeout=WAIT_S, isolation_level=None)


@contextmanager
def open_to_write(store: Store) -> Iterator[sqlite3.Connection]:
    """Only for the holder of the lock. Transactions are the caller's."""
    with closing(sqlite3.connect(str(store.search), timeout=WAIT_S, isolation_level=None)) as database:
        # Losing power may cost a rebuild, not a wrong answer: NORMAL syncs at the moments that matter.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -65536")
        yield database


def create_schema(database: sqlite3.Connection) -> None:
    """All of it or nothing."""
    database.executescript(f"BEGIN;{SCHEMA}COMMIT;")


def remove_index(store: Store) -> None:
    """Only for the holder of the lock. Who reads the old one goes on reading it."""
    store.search.unlink(missing_ok=True)
    store.search.with_name(f"{store.search.name}-journal").unlink(missing_ok=True)


@contextmanager
def locked(store: Store, *, wait: bool = True) -> Iterator[bool]:
    """Alone among those who write the index. False without `wait` when another one is at work.

    A kernel lock: it ends with the process that holds it, however that ends.
    """
    store.storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (store.storage / SEARCH_LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
