"""Bringing a snapshot back into a store. Owns the check of what came, and that what was there is moved, not lost."""

from __future__ import annotations

import datetime
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coditect.backups.restic import TAG
from coditect.backups.snapshot import COPY_SUFFIX, OLD_STORE, UNPACKED
from coditect.errors import StoreError, UsageError
from coditect.memory import Memory
from coditect.store import LOCKS, Store

if TYPE_CHECKING:
    from coditect.backups.restic import Restic


@contextmanager
def unpacked(store: Store, restic: Restic, snapshot: str) -> Iterator[Store]:
    """The snapshot as a store of its own inside the folder of `store`: on the same disk, even if that is a volume."""
    store.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=UNPACKED, dir=store.root))
    try:
        latest = ("--tag", TAG) if snapshot == "latest" else ()
        restic.run("restore", snapshot, *latest, "--quiet", "--target", str(folder))
        fresh = Store(folder)
        for copy in fresh.storage.glob(f"*.sqlite{COPY_SUFFIX}"):
            copy.rename(copy.with_name(copy.name[: -len(COPY_SUFFIX)]))
        yield fresh
    finally:
        shutil.rmtree(folder)
        if not any(store.root.iterdir()):  # it came to nothing
            store.root.rmdir()


def check_store(store: Store) -> int:
    """Messages are as long as the index says, the databases and the memory are whole. Bytes committed."""
    committed = store.committed()
    size = store.messages.stat().st_size if store.messages.exists() else 0
    if size < committed:
        raise StoreError(f"{committed} bytes of messages are expected, {size} came", where=str(store.messages))
    for path in sorted(store.storage.glob("*.sqlite")):
        _check_database(path)
    memory = Memory(store)
    if memory.exists:
        memory.git("fsck", "--full", "--no-progress", "--no-dangling")
    return committed


def _check_database(path: Path) -> None:
    try:
        # Not read-only: SQLite then leaves no journal files behind.
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise StoreError(f"the database is damaged: {error}", where=str(path)) from error
    if found != "ok":
        raise StoreError(f"the database is damaged: {found}", where=str(path))


def put_in_place(fresh: Store, store: Store) -> Path | None:
    """Move what is in `fresh` to `store`, and what was there before into the folder that is returned.

    Lock files stay where they are, or those who wait for one would wait for another file than those who come.
    """
    with _alone(store):
        old = store.root / (OLD_STORE + datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S"))
        coming = {path.name for path in fresh.root.iterdir()}
        previous = list(_contents(store, coming))
        for path in previous:
            _move(path, old / path.relative_to(store.root))
        for path in list(_contents(fresh, coming)):
            _move(path, store.root / path.relative_to(fresh.root))
        if fresh.storage.exists():
            store.storage.chmod(fresh.storage.stat().st_mode & 0o7777)
    return old if previous else None


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Among all who write into the store."""
    memory = Memory(store)
    with ExitStack() as held:
        for name in LOCKS:
            held.enter_context(store.locked("restore", name))
        if memory.exists:
            held.enter_context(memory.locked())
        yield


def _contents(store: Store, others: set[str]) -> Iterator[Path]:
    """What is moved as a whole: each file of the storage, the memory, and others at the top by name."""
    if store.storage.exists():
        yield from (path for path in sorted(store.storage.iterdir()) if path.name not in LOCKS)
    for name in sorted({store.memory.name, *others} - {store.storage.name}):
        if (store.root / name).exists():
            yield store.root / name


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.rename(to)


def holds_store(store: Store) -> bool:
    """Whether something is there that a restore would move. Raises UsageError for a folder with other things in it."""
    if any(_contents(store, set())):
        return True
    if store.root.exists() and any(not path.name.startswith((OLD_STORE, UNPACKED)) for path in store.root.iterdir()):
        hint = "choose a folder that is empty or not there yet"
        raise UsageError("the folder is not empty, and no store", where=str(store.root), hint=hint)
    return False
