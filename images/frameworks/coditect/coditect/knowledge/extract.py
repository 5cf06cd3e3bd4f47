"""A run over the store: read what is new, collect items, bring the pages up to date, commit them."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from coditect.errors import StoreError
from coditect.knowledge.collect import Collection
from coditect.knowledge.pages import write_pages
from coditect.memory import Memory
from coditect.records import message_id
from coditect.store import KNOWLEDGE_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from coditect.store import Store

DATABASE: Final = "knowledge.sqlite"
FOLDER: Final = "knowledge"
# A longer line is the output of a tool, or a picture; it is passed over without being read into memory.
LONGEST_LINE: Final = 8 << 20
# So much is lost at most when a run is killed.
_BYTES_PER_TRANSACTION: Final = 64 << 20


@dataclass(frozen=True)
class Outcome:
    messages: int
    items: int
    written: list[Path]
    committed: bool


def extract(store: Store, since: float | None = None) -> Outcome:
    """Read on from where the last run stopped. Raises StoreError."""
    # Alone among runs of this verb; ingest goes on meanwhile, since it only adds to the messages.
    with store.locked("knowledge extract", KNOWLEDGE_LOCK), open_collection(store) as collection:
        count = read_on(collection, store)
        items = list(collection.items())
        memory = Memory(store)
        memory.ensure()
        with memory.locked():
            # Set until the commit is done: a run that was killed in between left pages to commit.
            pending = bool(collection.meta("pending"))
            collection.set_meta("pending", "yes")
            written = write_pages(store.memory / FOLDER, items, since)
            committed = _commit(memory, written, pending)
            collection.set_meta("pending", "")
    return Outcome(count, len(items), written, committed)


@contextmanager
def open_collection(store: Store) -> Iterator[Collection]:
    """Until the end of the block. Raises StoreError for what SQLite says meanwhile."""
    path = store.storage / DATABASE
    try:
        with closing(Collection(path)) as collection:
            yield collection
    except sqlite3.OperationalError as error:
        locked = "locked" in str(error)
        hint = "another run is at work: try again" if locked else "see that there is room, and the right to write"
        raise StoreError(f"the database cannot be used: {error}", where=str(path), hint=hint) from error
    except sqlite3.Error as error:
        hint = "delete the file: the next `coditect knowledge extract` makes it anew"
        raise StoreError(f"the database cannot be read: {error}", where=str(path), hint=hint) from error


def read_on(collection: Collection, store: Store) -> int:
    """Messages read: those between what the collection knows and what the store has committed."""
    if collection.outdated:
        collection.clear()
    end = store.committed()
    if end and not store.messages.exists():
        raise StoreError("the messages file is missing", where=str(store.messages), hint="restore a backup")
    if not end:
        return 0
    count = 0
    with store.messages.open("rb") as file:
        if not _goes_on(collection, file, end):
            collection.clear()
        start = collection.offset
        while start < end:
            read, start = _read_part(collection, file, start, end)
            count += read
    return count


def _read_part(collection: Collection, file: BinaryIO, start: int, end: int) -> tuple[int, int]:
    """One transaction; messages read and where it stopped."""
    count, stop = 0, start
    file.seek(start)
    collection.begin()
    for place, line, after in _lines(file, start, min(end, start + _BYTES_PER_TRANSACTION), end):
        count, stop = count + 1, after
        if line:
            collection.add_line(line)
            collection.last = (place, line)
    collection.commit(stop)
    return count, stop


def _lines(file: BinaryIO, start: int, enough: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """Where a line starts, the line without its end, where it ends; empty in place of one that is too long."""
    while start < enough:
        line = file.readline(LONGEST_LINE)
        stop, whole = start + len(line), line.endswith(b"\n")
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
            stop += len(line)
        if stop > end or not line:
            raise StoreError(
                "the messages end in the middle of a line", where=file.name, hint="run `coditect sessions ingest`"
            )
        yield start, (line[:-1] if whole else b""), stop
        start = stop


def _goes_on(collection: Collection, file: BinaryIO, end: int) -> bool:
    """Whether the file is the one that was read before: the last line read is still where it was."""
    if collection.offset > end:
        return False
    place, length, identity = (collection.meta("last") or "0 0 ").split(" ")
    file.seek(int(place))
    return not identity or message_id(file.read(int(length))).hex() == identity


def _commit(memory: Memory, written: list[Path], pending: bool) -> bool:
    folder = memory.folder / FOLDER
    if not written and not (pending and folder.is_dir()):
        return False
    count = sum(path.suffix == ".md" for path in written)
    paths = [folder] if pending else written
    return memory.commit(f"knowledge: {count} page{'' if count == 1 else 's'} brought up to date", paths)
