"""From the messages file to search.sqlite: only new bytes, in batches, each a transaction of its own.

A run that is killed leaves whole batches behind, and the next one goes on after them. Must not write anything but the
index, and must not look behind the committed length.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from coditect.errors import StoreError
from coditect.records import read_fields
from coditect.search.database import State, create_schema, locked, open_to_write, read_state, remove_index, write_state
from coditect.search.lines import OutOfStepError, parse_line, read_line, storable
from coditect.search.tokens import Pieces, is_word, tokens

if TYPE_CHECKING:
    from typing import BinaryIO

    from coditect.store import Store

# A batch ends at whichever comes first: memory stays bounded, and a commit is worth its syncs.
BATCH_MESSAGES: Final = 8192
BATCH_BYTES: Final = 8 << 20
SAMPLES: Final = 16

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Outcome:
    """What a run did. `reason` says why it began anew, if it did."""

    added: int
    state: State
    reason: str = ""


@dataclass
class _Batch:
    """Rows for the tables, gathered from lines."""

    messages: list[tuple[object, ...]] = field(default_factory=list)
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    last: bytes = b""


def update(store: Store, *, rebuild: bool = False, progress: Progress | None = None) -> Outcome:
    """Bring the index up to date; waits for another run. Raises StoreError."""
    with locked(store):
        return update_locked(store, rebuild=rebuild, progress=progress)


def update_locked(store: Store, *, rebuild: bool = False, progress: Progress | None = None) -> Outcome:
    """The same, for who holds the lock already."""
    committed = store.committed()
    try:
        reason = "asked to" if rebuild and store.search.exists() else _reason_to_rebuild(store, committed)
        if reason:
            remove_index(store)
        with open_to_write(store) as database:
            return _bring_up_to_date(store, database, committed, reason, progress)
    except sqlite3.DatabaseError as error:
        hint = "free some space, or see who else uses the file; coditect index --rebuild makes it anew"
        raise StoreError(f"the search index cannot be written: {error}", where=str(store.search), hint=hint) from error


def _reason_to_rebuild(store: Store, committed: int) -> str:
    if not store.search.exists():
        return ""
    try:
        with open_to_write(store) as database:
            state = read_state(database)
            if state is None:
                # A run that was killed before its first commit leaves an empty file.
                return "its schema is another one" if store.search.stat().st_size else ""
            return "" if is_in_step(store, database, state, committed) else "the messages file was replaced"
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return f"it is damaged ({error})"


def is_in_step(
    store: Store, database: sqlite3.Connection, state: State, committed: int, samples: int = SAMPLES
) -> bool:
    """Whether what was indexed is still what lies there: the last message, and others spread over the file."""
    if state.offset > committed:
        return False
    if not state.messages:
        return True
    numbers = {state.messages - state.messages * sample // samples for sample in range(samples)}
    marks = ",".join("?" * len(numbers))
    sql = f"SELECT offset, length, id FROM message WHERE row IN ({marks})"  # noqa: S608 # question marks only
    found = database.execute(sql, sorted(numbers))
    try:
        with store.messages.open("rb") as messages:
            for offset, length, message_id in found:
                read_line(messages, offset, length, message_id)
    except (OutOfStepError, FileNotFoundError):
        return False
    return True


def _bring_up_to_date(
    store: Store, database: sqlite3.Connection, committed: int, reason: str, progress: Progress | None
) -> Outcome:
    state = read_state(database)
    if state is None:
        create_schema(database)
        state = State()
    before = state.messages
    if state.offset < committed:
        writer = _Writer(database, state)
        for offset in _each_batch(store, writer, committed):
            if progress:
                progress(offset, committed)
        state = writer.state
    return Outcome(state.messages - before, state, reason)


def _each_batch(store: Store, writer: _Writer, committed: int) -> Iterator[int]:
    """Write batch after batch; the offset after each."""
    try:
        with store.messages.open("rb") as messages:
            messages.seek(writer.state.offset)
            while writer.state.offset < committed:
                writer.write(messages, committed)
                yield writer.state.offset
    except FileNotFoundError as error:
        raise StoreError("the messages file is gone", where=str(store.messages), hint="restore a backup") from error


class _Writer:
    """Turns lines into rows. Keeps the numbers of names, which are few, in memory."""

    def __init__(self, database: sqlite3.Connection, state: State) -> None:
        self.database, self.state, self.pieces = database, state, Pieces()
        self.names = {(name, text): number for number, name, text in database.execute("SELECT * FROM name")}

    def write(self, messages: BinaryIO, committed: int) -> None:
        """One batch from where the file stands, in one transaction."""
        self.database.execute("BEGIN IMMEDIATE")
        batch = _Batch()
        offset = self._gather(messages, batch, committed)
        self._store(batch)
        self.state = State(
            offset,
            self.state.messages + len(batch.messages),
            self.state.broken + batch.broken,
            len(batch.last),
            zlib.crc32(batch.last),
        )
        write_state(self.database, self.state)
        self.database.execute("COMMIT")

    def _gather(self, messages: BinaryIO, batch: _Batch, committed: int) -> int:
        offset = self.state.offset
        end = min(committed, offset + BATCH_BYTES)
        while offset < end and len(batch.messages) < BATCH_MESSAGES:
            line = messages.readline()
            if not line.endswith(b"\n") or offset + len(line) > committed:
                hint = "restore a backup; coditect index then begins anew"
                raise StoreError("the messages file ends in the middle of a line", where=messages.name, hint=hint)
            self._add(batch, offset, line[:-1])
            batch.last = line
            offset += len(line)
        return offset

    def _add(self, batch: _Batch, offset: int, line: bytes) -> None:
        record = parse_line(line)
        if record is None:
            batch.broken += 1
            return
        fields = read_fields(record)
        text = storable(fields.text) if b"\\ud" in line else fields.text
        row = self.state.messages + len(batch.messages) + 1
        places = (
            self._name("role", fields.role),
            self._name("kind", fields.kind),
            self._name("tool", fields.tool),
            self._name("project", fields.project),
            self._name("session", fields.session),
        )
        batch.messages.append((row, hashlib.sha256(line).digest(), offset, len(line), fields.time, *places))
        found = set(tokens(text))
        batch.texts.append((row, text, " ".join((fields.tool, *self.pieces.of(found)))))
        batch.tokens.update(found)

    def _name(self, name: str, text: str) -> int:
        text = text if text.isascii() else storable(text)
        number = self.names.get((name, text))
        if number is None:
            number = self.names[name, text] = len(self.names) + 1
            self.database.execute("INSERT INTO name VALUES (?, ?, ?)", (number, name, text))
        return number

    def _store(self, batch: _Batch) -> None:
        run = self.database.executemany
        run("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch.messages)
        run("INSERT INTO full_text (rowid, text, pieces) VALUES (?, ?, ?)", batch.texts)
        run(
            "INSERT INTO word VALUES (?, ?, ?)"
            " ON CONFLICT (term) DO UPDATE SET messages = messages + excluded.messages",
            ((term, term[::-1], count) for term, count in sorted(_words(batch.tokens).items())),
        )


def _words(tokens: Counter[str]) -> Counter[str]:
    """The words among the tokens, in lower case, with about the number of messages that have them."""
    words: Counter[str] = Counter()
    for token, count in tokens.items():
        if is_word(token):
            words[token.lower()] += count
    return words
