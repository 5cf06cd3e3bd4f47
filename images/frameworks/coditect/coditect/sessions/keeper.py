"""Keeps each distinct message once: the writer of a store. Owns the order in which things reach the disk.

    messages and quarantine are on the disk  ->  the index says so, in one transaction

A kill at any point leaves the last committed state and some bytes behind it, which the next writer cuts off. Must not
open session files: it takes lines, and says what became of them.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from coditect.errors import StoreError
from coditect.records import BrokenRecordError, Record, canonical_json, message_id, parse_record
from coditect.sessions.appendlog import AppendLog
from coditect.sessions.index import Index
from coditect.sessions.rebuild import make_index

if TYPE_CHECKING:
    from types import TracebackType

    from coditect.sessions.index import Source
    from coditect.store import Store

# SHA-256 of lines held in memory: some 15 MB. The index knows them all; this only spares asking it.
RECENT: Final = 100_000
# Bytes of a broken line in one line of the quarantine; a longer one takes several.
PIECE: Final = 768 << 10


@contextmanager
def storing(store: Store) -> Iterator[None]:
    """Errors of the disk and of SQLite, as errors of the store."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "disk is full" in str(error)
        if full:
            hint = "make room and run it again: what was committed is kept, nothing is half written"
            raise StoreError("the disk is full", where=str(store.storage), hint=hint) from error
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        hint = (
            f"restore a backup; or move {store.index.name} away: it is made anew from the messages" if damaged else ""
        )
        raise StoreError(f"cannot be written: {error}", where=str(store.storage), hint=hint) from error


class Keeper:
    """The one writer of a store, which must be locked. Nothing counts before `commit`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.new = self.duplicates = self.quarantined = 0
        self._recent: set[bytes] = set()
        self._closing = ExitStack()
        with storing(store), ExitStack() as opening:
            if not store.index.exists():
                make_index(store)
            self.index = Index(store.index)
            opening.callback(self.index.close)
            self._messages = AppendLog(store.messages, self.index.number("committed"))
            opening.callback(self._messages.close)
            self._rejects = AppendLog(store.quarantine, self.index.number("quarantine_committed"))
            opening.callback(self._rejects.close)
            self._closing = opening.pop_all()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def take(self, raw: bytes, source: Source, line: int, offset: int) -> bytes:
        """A line without its end. Its SHA-256; most lines were seen before and need nothing more than that."""
        digest = sha256(raw).digest()
        if digest in self._recent:
            self.duplicates += 1
        else:
            self._examine(raw, digest, source, line, offset)
        return digest

    def _examine(self, raw: bytes, digest: bytes, source: Source, line: int, offset: int) -> None:
        if not raw or raw.isspace():
            return
        with storing(self.store):
            if self.index.has_line(digest):
                self.duplicates += 1
                self._remember(digest)
                return
            try:
                name = self._keep(parse_record(raw), source, line)
            except BrokenRecordError as error:
                self.reject(raw, str(error), source, line, offset)
                return
            self._remember(digest)
            if name != digest:
                self.index.add_spelling(digest)

    def _keep(self, record: Record, source: Source, line: int) -> bytes:
        """The id of the record. Raises BrokenRecordError."""
        canonical = canonical_json(record)
        name = message_id(canonical)
        if self.index.add_message(name, self._messages.size, len(canonical), source.id, line):
            self._messages.append(canonical, b"\n")
            self.new += 1
        else:
            self.duplicates += 1
        return name

    def _remember(self, digest: bytes) -> None:
        if len(self._recent) >= RECENT:
            self._recent.clear()
        self._recent.add(digest)

    def reject(
        self, raw: bytes, reason: str, source: Source, line: int, offset: int, *, continued: bool = False
    ) -> None:
        """Put bytes that are no message into quarantine, with all that helps to find and mend them."""
        new = False
        for start in range(0, len(raw), PIECE):
            entry = {
                "file": os.fsdecode(source.path), "line": line, "offset": offset + start, "reason": reason,
                "bytes": base64.b64encode(raw[start : start + PIECE]).decode(),
            }  # fmt: skip
            text = json.dumps(entry).encode()
            with storing(self.store):
                if self.index.add_quarantine(sha256(text).digest()):
                    self._rejects.append(text, b"\n")
                    new = True
        self.quarantined += new and not continued

    def commit(self, values: dict[str, object] | None = None) -> None:
        """Everything taken so far stays, whatever happens from here on."""
        with storing(self.store):
            self._messages.sync()
            self._rejects.sync()
            self.index.commit(
                {"committed": self._messages.size, "quarantine_committed": self._rejects.size, **(values or {})}
            )
            self._messages.mark_committed()
            self._rejects.mark_committed()
