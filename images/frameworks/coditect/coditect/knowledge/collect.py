"""Items in a database: how far the messages are read, what was found so far, and the state of each session.

One transaction carries all three, so that a run killed at any point goes on where its last transaction ended. The
database can be deleted at any time: the next run reads everything again and comes to the same items.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from coditect.knowledge.items import Add, Change, Drop, Item, item_id, one_line
from coditect.knowledge.messages import Message, read_message
from coditect.knowledge.rules import VERSION, feed
from coditect.knowledge.state import State, dump_state, load_state
from coditect.records import BrokenRecordError, message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A command is a habit of a project when this many of its sessions run it.
HABIT: Final = 3
_SESSIONS_IN_MEMORY: Final = 64
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, kind TEXT, statement TEXT, project TEXT, session TEXT, time REAL,
    source TEXT, cause TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (session TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (project TEXT, command TEXT, session TEXT, PRIMARY KEY (project, command, session))
    WITHOUT ROWID;
"""


class Collection:
    """What has been extracted. Not safe for two writers at once: who changes it holds the lock of `extract`.

    Every method may raise sqlite3.Error, which `open_collection` puts into words.
    """

    def __init__(self, path: Path | str) -> None:
        # Where the last line that was read starts, and the line: by it the next run knows the file again.
        self.last: tuple[int, bytes] | None = None
        self._states: OrderedDict[str, State] = OrderedDict()
        self._database = sqlite3.connect(str(path), timeout=30, isolation_level=None)
        try:
            self._database.executescript(_SCHEMA)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    @property
    def outdated(self) -> bool:
        """Made by other rules than ours, or still empty: `clear` is due before messages are added."""
        return self.meta("rules") != str(VERSION)

    def clear(self) -> None:
        """Forget everything; what the Markdown says stays where it is."""
        self._database.execute("BEGIN")
        for table in ("meta", "items", "sessions", "runs"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        self.set_meta("rules", str(VERSION))
        self._database.execute("COMMIT")
        self._states.clear()

    def meta(self, key: str) -> str:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def offset(self) -> int:
        return int(self.meta("offset") or 0)

    def begin(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def commit(self, offset: int) -> None:
        """Everything before `offset` is done."""
        self.forget_states()
        self.set_meta("offset", str(offset))
        if self.last:
            place, line = self.last
            self.set_meta("last", f"{place} {len(line)} {message_id(line).hex()}")
        self._database.execute("COMMIT")

    def add_line(self, line: bytes) -> None:
        """Extract from one line. A line that is no message is none of our business: ingest quarantines those."""
        try:
            message = read_message(line)
        except BrokenRecordError:
            return
        if message is not None:
            self.add(message)

    def add(self, message: Message) -> None:
        for change in feed(self._state(message.session), message):
            self._apply(change, message)

    def _apply(self, change: Change, message: Message) -> None:
        if isinstance(change, Add):
            self._insert(change.item)
        elif isinstance(change, Drop):
            self._database.execute("DELETE FROM items WHERE id = ?", (change.id,))
        else:
            self._count(change.command, message)

    def _insert(self, item: Item) -> None:
        """Said twice, it is linked to where it was said first."""
        row = (item.id, item.kind, item.statement, item.project, item.session, item.time, item.source, item.cause)
        self._database.execute("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _count(self, command: str, message: Message) -> None:
        if not command or len(command) > 200 or command.startswith("git "):
            return
        seen = "SELECT COUNT(*) FROM runs WHERE project = ? AND command = ?"
        row = (message.project, command, message.session)
        if self._database.execute(seen, row[:2]).fetchone()[0] >= HABIT:
            return
        new = self._database.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?)", row).rowcount
        if new and self._database.execute(seen, row[:2]).fetchone()[0] == HABIT:
            statement = one_line(f"`{command.replace('`', '')}` is run in session after session")
            identity = item_id("pattern", message.project, f"run {command}")
            project, session = message.project, message.session
            self._insert(Item("pattern", identity, statement, project, session, message.time, message.id))

    def items(self, kind: str = "") -> Iterator[Item]:
        """Oldest first; those without a date at the end."""
        columns = "kind, id, statement, project, session, time, source, cause"
        order = "ORDER BY time IS NULL, time, id"
        query = f"SELECT {columns} FROM items WHERE kind = ? OR ? = '' {order}"  # noqa: S608 - our own words
        for row in self._database.execute(query, (kind, kind)):
            yield Item(*row)

    def _state(self, session: str) -> State:
        state = self._states.get(session)
        if state is None:
            row = self._database.execute("SELECT state FROM sessions WHERE session = ?", (session,)).fetchone()
            state = self._states[session] = load_state(row[0]) if row else State()
            if len(self._states) > _SESSIONS_IN_MEMORY:
                self._save(*self._states.popitem(last=False))
        else:
            self._states.move_to_end(session)
        return state

    def forget_states(self) -> None:
        """From memory; they are read again when their sessions go on."""
        while self._states:
            self._save(*self._states.popitem())

    def _save(self, session: str, state: State) -> None:
        self._database.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?)", (session, dump_state(state)))
