"""Makes the index of a store that has none: an empty one, or one for the messages that are there.

An index is there with all its tables and entries, or not at all: it is made beside its place and moved there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from coditect.errors import StoreError
from coditect.records import message_id
from coditect.sessions.check import is_canonical
from coditect.sessions.index import Index

if TYPE_CHECKING:
    from coditect.store import Store


def make_index(store: Store) -> None:
    """Which files were read is not known to a new index: the next ingest reads them all, and finds duplicates."""
    draft = store.index.with_name(f"{store.index.name}.new")
    for suffix in ("-wal", "-shm"):  # of the index that is gone; SQLite would apply them to the new one
        store.index.with_name(store.index.name + suffix).unlink(missing_ok=True)
    draft.unlink(missing_ok=True)
    draft.with_name(f"{draft.name}-journal").unlink(missing_ok=True)
    with closing(Index.create(draft)) as index:
        index.commit({"committed": _adopt(store, index), "quarantine_committed": _adopt_quarantine(store, index)})
    draft.replace(store.index)
    _sync_folder(store)


def _adopt(store: Store, index: Index) -> int:
    """Enter the messages that are there; the length of what is whole."""
    at = 0
    for number, line in enumerate(_whole_lines(store.messages), 1):
        if not is_canonical(line) or not index.add_message(message_id(line), at, len(line), 0, 0):
            raise StoreError(
                "this line is no message, or is there twice",
                where=f"{store.messages}:{number}",
                hint="restore a backup; or move unified_messages.jsonl away and ingest it as a session file",
            )
        at += len(line) + 1
    return at


def _adopt_quarantine(store: Store, index: Index) -> int:
    at = 0
    for line in _whole_lines(store.quarantine):
        index.add_quarantine(sha256(line).digest())
        at += len(line) + 1
    return at


def _whole_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # torn: a writer was killed
            yield line[:-1]


def _sync_folder(store: Store) -> None:
    """The new file is there after a power cut, too."""
    descriptor = os.open(store.storage, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
