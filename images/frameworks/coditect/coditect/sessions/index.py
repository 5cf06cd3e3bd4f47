"""The index of a store: which messages are kept and where, which files were read how far. Owns every SQL statement.

Must not read session files nor decide what a message is. Write-ahead logging, because a reader that may not write can
still read after a writer was killed; with a rollback journal it could not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from coditect.errors import StoreError

FORMAT: Final = 1
# Rows that wait in memory to be inserted together.
TOGETHER: Final = 5000
# A message's id is the SHA-256 of `length` bytes at `offset` of the messages file; source and line: of the first sight.
MESSAGES: Final = """
CREATE TABLE messages (
    id BLOB PRIMARY KEY, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    source INTEGER NOT NULL, line INTEGER NOT NULL
) WITHOUT ROWID"""
SOURCES: Final = """
CREATE TABLE sources (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, inode INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, done INTEGER NOT NULL, read INTEGER NOT NULL, lines INTEGER NOT NULL,
    first BLOB NOT NULL, first_length INTEGER NOT NULL, last BLOB NOT NULL, last_length INTEGER NOT NULL,
    tail BLOB NOT NULL, inside INTEGER NOT NULL
)"""
# SHA-256 of lines that are a kept message in another spelling: seen again, they need no parsing.
SPELLINGS: Final = "CREATE TABLE spellings (raw BLOB PRIMARY KEY) WITHOUT ROWID"
# SHA-256 of the lines of quarantine.jsonl.
QUARANTINE: Final = "CREATE TABLE quarantine (id BLOB PRIMARY KEY) WITHOUT ROWID"
META: Final = "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"


@dataclass
class Source:
    """A session file as far as it was read.

    first and last are the SHA-256 of the first and the last whole line: while both still lie where they lay, the file
    was appended to; otherwise it was rewritten. tail is that of a message at the end that no newline has ended yet.
    inside: what comes next belongs to a line that is too long for a message. done: there was nothing left to read.
    """

    id: int
    path: bytes
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0
    done: bool = False
    read: int = 0
    lines: int = 0
    first: bytes = b""
    first_length: int = 0
    last: bytes = b""
    last_length: int = 0
    tail: bytes = b""
    inside: bool = False

    def forget(self) -> None:
        """Back to the state of a file that was never read."""
        fresh = Source(self.id, self.path)
        for item in fields(self):
            setattr(self, item.name, getattr(fresh, item.name))


class Index:
    """One connection. Everything between two calls of `commit` is there as a whole afterwards, or not at all."""

    def __init__(self, path: Path, *, mode: str = "rw") -> None:
        """Open an index that is there; mode as in SQLite's URIs. Raises sqlite3.Error, StoreError."""
        self.path = path
        address = f"{path.absolute().as_uri()}?mode={mode}"
        self._database = sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)
        self._execute = self._database.execute
        self._new_messages: dict[bytes, tuple[bytes, int, int, int, int]] = {}
        self._new_spellings: set[bytes] = set()
        try:
            if mode == "rw":
                self._execute("PRAGMA journal_mode = WAL")
                self._execute("PRAGMA synchronous = FULL")
            self._execute("PRAGMA cache_size = -8192")
            self._execute("BEGIN")
            self._check_format(0 if mode == "rwc" else FORMAT)
        except BaseException:
            self._database.close()
            raise

    def _check_format(self, expected: int) -> None:
        found = int(self._execute("PRAGMA user_version").fetchone()[0])
        if found != expected:
            raise StoreError(f"format {found} is unknown here", where=str(self.path), hint="use a newer coditect")

    @classmethod
    def create(cls, path: Path) -> Index:
        """A new one, in a file that is not there yet, with its tables; not committed yet."""
        index = cls(path, mode="rwc")
        for statement in (META, MESSAGES, SOURCES, SPELLINGS, QUARANTINE):
            index._execute(statement)
        index._execute(f"PRAGMA user_version = {FORMAT}")
        return index

    def commit(self, values: Mapping[str, object]) -> None:
        """Keep everything since the last commit, and these values of `meta` with it."""
        self._insert()
        self._database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
        self._execute("COMMIT")
        self._execute("BEGIN")

    def close(self) -> None:
        """What was not committed is gone."""
        self._database.close()

    def number(self, key: str) -> int:
        """A number of `meta`; 0 when there is none."""
        row = self._execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def has_line(self, raw: bytes) -> bool:
        """Is the line with this SHA-256 a message that is kept, in this or in its canonical spelling?"""
        if raw in self._new_spellings or raw in self._new_messages:
            return True
        query = "SELECT 1 FROM spellings WHERE raw = ?1 UNION ALL SELECT 1 FROM messages WHERE id = ?1"
        return self._execute(query, (raw,)).fetchone() is not None

    def add_message(self, name: bytes, offset: int, length: int, source: int, line: int) -> bool:
        """False when it is there already."""
        if name in self._new_messages or self._execute("SELECT 1 FROM messages WHERE id = ?", (name,)).fetchone():
            return False
        self._new_messages[name] = (name, offset, length, source, line)
        if len(self._new_messages) >= TOGETHER:
            self._insert()
        return True

    def add_spelling(self, raw: bytes) -> None:
        self._new_spellings.add(raw)
        if len(self._new_spellings) >= TOGETHER:
            self._insert()

    def _insert(self) -> None:
        """Many rows at once, and in the order of the tables: in any other, each would be on another page."""
        messages, spellings = sorted(self._new_messages.values()), sorted(self._new_spellings)
        self._database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", messages)
        self._database.executemany("INSERT OR IGNORE INTO spellings VALUES (?)", ((raw,) for raw in spellings))
        self._new_messages.clear()
        self._new_spellings.clear()

    def add_quarantine(self, name: bytes) -> bool:
        """False when this line of the quarantine is there already."""
        return self._execute("INSERT OR IGNORE INTO quarantine VALUES (?)", (name,)).rowcount == 1

    def has_quarantine(self, name: bytes) -> bool:
        return self._execute("SELECT 1 FROM quarantine WHERE id = ?", (name,)).fetchone() is not None

    def source(self, path: bytes) -> Source:
        """What is known of a file; a new one gets its number at once."""
        row = self._execute("SELECT * FROM sources WHERE path = ?", (path,)).fetchone()
        if row:
            found = Source(*row)
            found.done, found.inside = bool(found.done), bool(found.inside)
            return found
        fresh = Source(0, path)
        slots = ", ".join("?" * (len(fields(Source)) - 1))
        fresh.id = self._execute(f"INSERT INTO sources VALUES (NULL, {slots})", astuple(fresh)[1:]).lastrowid or 0  # noqa: S608 (question marks)
        return fresh

    def put_source(self, source: Source) -> None:
        slots = ", ".join("?" * len(fields(Source)))
        self._execute(f"INSERT OR REPLACE INTO sources VALUES ({slots})", astuple(source))  # noqa: S608 (question marks)

    def count(self, table: str) -> int:
        return int(self._execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 (our own names)

    def ids(self) -> Iterator[bytes]:
        """Ids of all messages, sorted."""
        return (row[0] for row in self._execute("SELECT id FROM messages ORDER BY id"))

    def places(self) -> Iterator[tuple[int, int, bytes]]:
        """Offset, length and id of all messages, in the order of the file."""
        yield from self._execute("SELECT offset, length, id FROM messages ORDER BY offset")

    def defects(self) -> list[str]:
        """What SQLite itself finds wrong."""
        rows = [row[0] for row in self._execute("PRAGMA integrity_check")]
        return [] if rows == ["ok"] else rows
