"""What a store must hold, worked out the plain way: everything in memory, nothing but records.py."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from coditect.records import BrokenRecordError, canonical_json, parse_record
from coditect.sessions.check import find_faults
from coditect.sessions.stats import open_index

if TYPE_CHECKING:
    from coditect.store import Store


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for tests that write many stores: in memory where there is such a place, for a disk takes its time."""
    memory = Path("/dev/shm")  # noqa: S108 (only its parent; the folder has a name of its own)
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def distinct(lines: Iterable[bytes]) -> list[bytes]:
    """Canonical JSON of each distinct message, in the order of first sight."""
    found: dict[bytes, None] = {}
    for line in lines:
        if line.strip():
            with suppress(BrokenRecordError):
                found[canonical_json(parse_record(line))] = None
    return list(found)


def kept(store: Store) -> list[bytes]:
    """The lines of the messages file that count."""
    committed = store.committed()
    return store.messages.read_bytes()[:committed].splitlines() if committed else []


def faults(store: Store) -> list[str]:
    with open_index(store) as index:
        return list(find_faults(store, index))


def quarantined(store: Store) -> list[dict[str, Any]]:
    with open_index(store) as index:
        committed = index.number("quarantine_committed")
    return [json.loads(line) for line in store.quarantine.read_bytes()[:committed].splitlines()]


def settle(path: Path, seconds_ago: int = 3600) -> None:
    """Make a file look as if it had been written a while ago."""
    then = path.stat().st_mtime_ns - seconds_ago * 10**9
    os.utime(path, ns=(then, then))


def in_child(act: Callable[[], object]) -> int:
    """Do it in a process of its own; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "role", "é"]), VALUES, max_size=3)


@st.composite
def spelled(draw: st.DrawFn, records: st.SearchStrategy[dict[str, Any]] = RECORDS) -> bytes:
    """A record as one line in some spelling, without its end."""
    record = draw(records)
    keys = draw(st.permutations(list(record)))
    blanks = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
    text = json.dumps({key: record[key] for key in keys}, separators=blanks, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


BROKEN = st.sampled_from(
    [b"{", b"[1]", b"null", b'{"a":NaN}', b'{"a":1e999}', b"\xff\xfe\x00", b'{"a":1}x', b"\x00" * 9]
)


@st.composite
def session_lines(draw: st.DrawFn) -> list[bytes]:
    """Lines of a session: messages of a small pool in many spellings, blanks, and what is broken."""
    pool = st.sampled_from(draw(st.lists(RECORDS, min_size=1, max_size=5)))
    line = st.one_of(spelled(pool), spelled(pool), spelled(pool), BROKEN, st.sampled_from([b"", b"  ", b"\r"]))
    return draw(st.lists(line, max_size=20))
