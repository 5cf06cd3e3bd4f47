"""Taking a snapshot of a store. Owns what belongs into it, and that it is consistent. Must not print."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from coditect.backups.restic import TAG, Restic
from coditect.errors import StoreError
from coditect.memory import Memory
from coditect.store import LOCKS

if TYPE_CHECKING:
    from pathlib import Path

    from coditect.store import Store

COPY_SUFFIX: Final = ".backup"
OLD_STORE: Final = "before-restore-"
UNPACKED: Final = ".restore-"
# A database is in the snapshot as the copy beside it; the search index, which can be made anew, not at all.
LEFT_OUT: Final = (
    *("context-storage/*.sqlite", "context-storage/*.sqlite-wal", "context-storage/*.sqlite-shm"),
    *("context-storage/*.sqlite-journal", "memory/.git/*.lock", *(f"context-storage/{name}" for name in LOCKS)),
    *(f"{OLD_STORE}*", f"{UNPACKED}*"),
)


@dataclass(frozen=True)
class Taken:
    """What restic says about a new snapshot."""

    snapshot: str
    files: int
    size: int  # bytes of all files
    added: int  # bytes that the repository did not have

    def as_dict(self) -> dict[str, object]:
        return {"snapshot": self.snapshot, "files": self.files, "size": self.size, "added": self.added}


def take_snapshot(store: Store, restic: Restic) -> Taken:
    """No writer is at work on the store meanwhile. Raises NoRepositoryError when there is none yet."""
    with _standing_still(store):
        root = store.root.resolve()
        # With the whole path in front a pattern hits nothing else, whatever the notes are called.
        fixed = re.sub(r"([\\\\*?\[])", r"\\\1", str(root))
        words = [word for pattern in LEFT_OUT for word in ("--exclude", f"{fixed}/{pattern}")]
        output = restic.run("backup", "--json", "--quiet", "--tag", TAG, *words, ".", folder=root)
    for line in reversed(output.splitlines()):
        event: dict[str, Any] = json.loads(line)
        if event.get("message_type") == "summary":
            size, files = event["total_bytes_processed"], event["total_files_processed"]
            return Taken(event["snapshot_id"][:8], files, size, event["data_added"])
    raise StoreError("restic did not say what it stored", where=restic.shown)


@contextmanager
def _standing_still(store: Store) -> Iterator[None]:
    memory = Memory(store)
    with store.locked("backup"):
        copies = [_copy_database(path) for path in sorted(store.storage.glob("*.sqlite")) if path != store.search]
        try:
            if memory.exists:
                with memory.locked():
                    yield
            else:
                yield
        finally:
            for copy in copies:
                copy.unlink()


def _copy_database(path: Path) -> Path:
    """A copy through SQLite, which knows what is still in its journal."""
    copy = path.with_name(path.name + COPY_SUFFIX)
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    copy.chmod(path.stat().st_mode & 0o7777)
    address = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as source, closing(sqlite3.connect(copy)) as to:
            source.backup(to)
    except sqlite3.DatabaseError as error:
        copy.unlink()
        raise StoreError(f"the database cannot be copied: {error}", where=str(path)) from error
    return copy


def make_repository(restic: Restic) -> None:
    restic.run("init", "--quiet")


def forget_old(restic: Restic, keep_days: int) -> None:
    """Remove snapshots of this store on this machine that are older, but never the last three."""
    keep = ("--keep-within", f"{keep_days}d", "--keep-last", "3")
    restic.run_unlocked("forget", "--quiet", "--tag", TAG, "--group-by", "host,paths", *keep, "--prune")


def list_snapshots(restic: Restic) -> list[dict[str, object]]:
    """id, time, host and path of each, oldest first."""
    found = json.loads(restic.run("snapshots", "--json", "--tag", TAG)) or []
    rows = (
        {"snapshot": one["short_id"], "time": one["time"], "host": one["hostname"], "store": one["paths"][0]}
        for one in found
    )
    return sorted(rows, key=lambda row: str(row["time"]))
