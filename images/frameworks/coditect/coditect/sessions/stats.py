"""What a store holds, in numbers; and its ids and numbers as files of their own. Changes nothing in the store."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from coditect.errors import StoreError
from coditect.sessions.index import Index

if TYPE_CHECKING:
    from coditect.store import Store

# Totals over all runs in `meta`, and the number of a report that each adds up.
TOTALS: Final = {
    "total_files": "files",
    "total_bytes": "bytes_read",
    "total_messages": "messages",
    "total_duplicates": "duplicates",
    "total_quarantined": "quarantined",
}


@contextmanager
def open_index(store: Store) -> Iterator[Index]:
    """The index as it is now, only for reading: later commits do not show. Raises StoreError."""
    if not store.index.exists():
        hint = "coditect sessions ingest makes one; --store or CODITECT_STORE says where it is"
        raise StoreError("there is no store here", where=str(store.root), hint=hint)
    try:
        index = Index(store.index, mode="ro")
        try:
            yield index
        finally:
            index.close()
    except sqlite3.Error as error:
        hint = "restore a backup, or move the file away and ingest again"
        raise StoreError(f"the index cannot be read: {error}", where=str(store.index), hint=hint) from error


def read_stats(store: Store, index: Index) -> dict[str, Any]:
    """The content of unified_stats.json."""
    totals = {key: index.number(key) for key in TOTALS}
    read = totals["total_messages"]
    return {
        "unique_messages": index.count("messages"),
        "total_messages": read,
        "duplicates": totals["total_duplicates"],
        "duplicate_share": round(totals["total_duplicates"] / read, 4) if read else 0.0,
        "quarantined": totals["total_quarantined"],
        "bytes_read": totals["total_bytes"],
        "bytes_kept": index.number("committed"),
        "sources": index.count("sources"),
        "updated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(index.number("updated"))),
    }


def write_stats(store: Store, index: Index) -> None:
    with replacing(store.stats) as file:
        json.dump(read_stats(store, index), file, indent=2)
        file.write("\n")


def write_hashes(store: Store, index: Index) -> None:
    """unified_hashes.json: the ids of all messages in hex, sorted."""
    with replacing(store.storage / "unified_hashes.json") as file:
        separator = "[\n"
        for name in index.ids():
            file.write(f'{separator}"{name.hex()}"')
            separator = ",\n"
        file.write("\n]\n" if separator == ",\n" else "[]\n")


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file that is there as a whole or as it was before."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
