"""An index to search in: brought up to date when little is missing, else with a remark on what is missing."""

from __future__ import annotations

from coditect.errors import StoreError
from coditect.search.database import ends_alike, open_to_read, read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Final

    from coditect.store import Store

# About 2,000 messages, a tenth of a second: less than it takes to type `coditect index`.
LITTLE_BYTES: Final = 1 << 20


def open_index(store: Store, wish: bool | None, remarks: list[str]) -> sqlite3.Connection:
    """`wish`: update whatever it takes (True), never (False), when little is missing (None). Raises StoreError."""
    committed = store.committed()
    if not committed:
        raise StoreError("no messages yet", where=str(store.root), hint="run: coditect sessions ingest")
    database, missing = _look(store, committed)
    if missing and (wish or (wish is None and missing <= LITTLE_BYTES)):
        if database:
            database.close()
        _update(store, bool(wish), remarks)
        database, missing = _look(store, committed)
    if database is None:
        raise StoreError("there is no index of these messages yet", where=str(store.search), hint="run: coditect index")
    if missing:
        remarks.append(f"the newest {missing / 1e6:,.1f} MB are not in the index yet; run: coditect index")
    return database


def _look(store: Store, committed: int) -> tuple[sqlite3.Connection | None, int]:
    """The index, and how many bytes it lacks. None when there is none, or one of other messages or another schema."""
    if not store.search.exists():
        return None, committed
    database = open_to_read(store)
    state = read_state(database)
    if state is None or not ends_alike(store, state, committed):
        database.close()
        return None, committed
    return database, committed - state.offset


def _update(store: Store, wait: bool, remarks: list[str]) -> None:
    """Without `wait`, not while another run is at it, nor where nobody may write."""
    from coditect.search.build import update_locked
    from coditect.search.database import locked

    try:
        with locked(store, wait=wait) as ours:
            if ours:
                update_locked(store)
    except OSError as error:  # no right to write, a file system that is read-only or full
        remarks.append(f"the index cannot be brought up to date: {error}")
