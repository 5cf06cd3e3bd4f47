"""Proves a store, or says what is wrong with it. Reads all of it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from coditect.records import BrokenRecordError, canonical_json, message_id, parse_record

if TYPE_CHECKING:
    from pathlib import Path

    from coditect.sessions.index import Index
    from coditect.store import Store


def find_faults(store: Store, index: Index) -> Iterator[str]:
    """Every fault in words; none: each line is the message that the index says, once, where the index says."""
    yield from index.defects()
    yield from _check_messages(store, index)
    yield from _check_quarantine(store, index)


def _check_messages(store: Store, index: Index) -> Iterator[str]:
    committed = index.number("committed")
    if fault := _too_short(store.messages, committed):
        yield fault
        return
    end = 0
    if store.messages.exists():
        with store.messages.open("rb") as file:
            for offset, length, name in index.places():
                if offset != end:
                    yield f"{store.messages}: byte {end}: the next message is said to begin at byte {offset}"
                yield from _check_line(store, file, offset, length, name)
                end = offset + length + 1
    if end != committed:
        yield f"{store.messages}: {committed} bytes are committed, but the messages end at byte {end}"


def _check_line(store: Store, file: BinaryIO, offset: int, length: int, name: bytes) -> Iterator[str]:
    file.seek(offset)
    line = file.read(length + 1)
    where = f"{store.messages}: byte {offset}"
    if not line.endswith(b"\n") or b"\n" in line[:-1]:
        yield f"{where}: not one line of {length} bytes"
    elif message_id(line[:-1]) != name:
        yield f"{where}: the line is not the message {name.hex()}"
    elif not is_canonical(line[:-1]):
        yield f"{where}: the line is no canonical JSON"


def is_canonical(line: bytes) -> bool:
    try:
        return canonical_json(parse_record(line)) == line
    except BrokenRecordError:
        return False


def _check_quarantine(store: Store, index: Index) -> Iterator[str]:
    committed = index.number("quarantine_committed")
    if fault := _too_short(store.quarantine, committed):
        yield fault
        return
    found = 0
    for number, line in enumerate(read_committed(store.quarantine, committed), 1):
        found += 1
        if not line.endswith(b"\n") or not index.has_quarantine(sha256(line[:-1]).digest()):
            yield f"{store.quarantine}:{number}: the line is not what was written"
    if found != index.count("quarantine"):
        yield f"{store.quarantine}: {found} lines, but {index.count('quarantine')} were written"


def _too_short(path: Path, committed: int) -> str:
    size = path.stat().st_size if path.exists() else 0
    return f"{path}: {committed - size} bytes are missing at its end" if size < committed else ""


def read_committed(path: Path, committed: int) -> Iterator[bytes]:
    """The lines of a growing file that count."""
    if not committed:
        return
    with path.open("rb") as file:
        while committed > 0 and (line := file.readline(committed)):
            committed -= len(line)
            yield line
