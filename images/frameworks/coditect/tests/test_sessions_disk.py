"""A disk that is full or refuses ends a run with an error for people, and a sound store."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest
from sessions_oracle import distinct, faults, in_child, kept

from coditect.errors import StoreError
from coditect.sessions import ingest as ingest_module
from coditect.sessions import reading
from coditect.sessions.index import Index
from coditect.sessions.ingest import ingest
from coditect.store import Store

LINES = [b'{"a":%d,"b":"%s"}' % (number, b"x" * 500) for number in range(300)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """With batches so small that some are committed before the disk is full."""
    monkeypatch.setattr(ingest_module, "BATCH", 10_000)
    monkeypatch.setattr(reading, "STRIDE", 1)
    return Store(tmp_path / "store")


def assert_whole_after(store: Store, path: Path) -> None:
    assert faults(store) == []
    assert kept(store) == LINES[: len(kept(store))]
    assert store.messages.stat().st_size == store.committed()  # the room is given back
    ingest(store, [path])
    assert kept(store) == distinct(LINES)
    assert faults(store) == []


@pytest.mark.parametrize("good", range(0, 12, 3))
def test_no_room_for_messages(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, good: int) -> None:
    real, calls = os.write, iter(range(1000))

    def write(descriptor: int, data: memoryview) -> int:
        if next(calls) < good:
            return real(descriptor, data)
        real(descriptor, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StoreError, match="disk is full") as caught:
            ingest(store, [path])
    assert "make room" in caught.value.hint
    assert str(store.storage) in caught.value.where
    assert_whole_after(store, path)


def test_no_room_for_the_index(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Index.__init__

    def small(self: Index, path: Path, *, mode: str = "rw") -> None:
        real(self, path, mode=mode)
        self._execute("PRAGMA max_page_count = 10")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "__init__", small)
        with pytest.raises(StoreError, match="disk is full"):
            ingest(store, [path])
    assert_whole_after(store, path)


def test_a_limit_of_the_kernel_on_the_size_of_files(store: Store, path: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        with pytest.raises(StoreError, match="cannot be written"):
            ingest(store, [path])

    assert in_child(limited) == 0
    assert 0 < len(kept(store)) < len(LINES)
    assert_whole_after(store, path)


def test_a_messages_file_that_lost_its_end_is_an_error_and_nothing_is_overwritten(store: Store, path: Path) -> None:
    ingest(store, [path])
    os.truncate(store.messages, 1000)
    with pytest.raises(StoreError, match="missing at its end"):
        ingest(store, [path], again=True)
    assert store.messages.stat().st_size == 1000
    assert "missing" in faults(store)[0]
