"""Where the memory lies, and who may write to it.

    STORE/
    ├── context-storage/
    │   ├── unified_messages.jsonl   each distinct message once, as canonical JSON; SHA-256 of a line is its id
    │   ├── unified_index.sqlite     ids, offsets, files read so far, how much of the lines above is committed
    │   ├── unified_stats.json       what the last runs found
    │   ├── quarantine.jsonl         lines that are no messages, with file, line and reason
    │   └── search.sqlite            full-text index over the messages; can be made anew at any time
    └── memory/                      a Git repository: notes, decisions, tasks, extracted knowledge, checkpoints as tags

The messages file only grows. Bytes behind the committed length belong to a writer that is at work, or was killed:
a reader never looks at them, the next writer cuts them off.

Every query of `cxq` imports this: no dataclasses and no typing, which would take a fifth of its time.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from coditect.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

# Files in the storage. Who needs several takes them in this order, and that of the memory last.
KNOWLEDGE_LOCK: Final = ".knowledge.lock"
STORE_LOCK: Final = ".lock"
SEARCH_LOCK: Final = ".search.lock"
LOCKS: Final = (KNOWLEDGE_LOCK, STORE_LOCK, SEARCH_LOCK)


class Store:
    """The paths of one store. Making one touches nothing."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()  # the URI of a file needs it

    @property
    def storage(self) -> Path:
        return self.root / "context-storage"

    @property
    def messages(self) -> Path:
        return self.storage / "unified_messages.jsonl"

    @property
    def index(self) -> Path:
        return self.storage / "unified_index.sqlite"

    @property
    def stats(self) -> Path:
        return self.storage / "unified_stats.json"

    @property
    def quarantine(self) -> Path:
        return self.storage / "quarantine.jsonl"

    @property
    def search(self) -> Path:
        return self.storage / "search.sqlite"

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    def committed(self) -> int:
        """Bytes of the messages file that readers may use; 0 before the first ingest. Raises StoreError."""
        if not self.index.exists():
            return 0
        try:
            with closing(sqlite3.connect(f"{self.index.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
                row = database.execute("SELECT value FROM meta WHERE key = 'committed'").fetchone()
        except sqlite3.DatabaseError as error:
            hint = "restore a backup, or move the file away and ingest again"
            raise StoreError(f"the index cannot be read: {error}", where=str(self.index), hint=hint) from error
        return int(row[0]) if row else 0

    @contextmanager
    def locked(self, purpose: str, name: str = STORE_LOCK) -> Iterator[None]:
        """Alone among writers of this store until the end of the block; waits for its turn, and says for whom.

        A kernel lock: it ends with the process that holds it, however that ends. `name` is one of LOCKS.
        """
        self.storage.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.storage / name).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another run"
                print(f"waiting for {holder}", file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"process {os.getpid()}: {purpose}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def find_store(given: str | None, environment: Mapping[str, str]) -> Store:
    """`--store`, else CODITECT_STORE, else coditect below the user's data folder (XDG)."""
    if chosen := given or environment.get("CODITECT_STORE"):
        return Store(Path(chosen).expanduser())
    data = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Store(Path(data).expanduser() / "coditect")
