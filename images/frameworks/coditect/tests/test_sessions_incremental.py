"""Only new bytes are read; however a file grows, the store is that of the whole file; a rewritten one is read anew."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions_oracle import distinct, faults, kept, quarantined, quick_folder, session_lines, settle

from coditect.sessions import reading
from coditect.sessions.ingest import Report, ingest
from coditect.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}\n')
    settle(path)
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@settings(max_examples=60, deadline=None)
@given(lines=session_lines(), cuts=st.lists(st.integers(0, 400), max_size=5), ended=st.booleans())
def test_any_split_of_the_bytes_gives_the_store_of_all_of_them(
    lines: list[bytes], cuts: list[int], ended: bool
) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    with quick_folder() as folder:
        store, whole = Store(folder / "parts"), Store(folder / "whole")
        path, end = folder / "a.jsonl", 0
        reports: list[Report] = []
        for cut in [*sorted(cuts), len(data)]:
            path.open("ab").write(data[end:cut])
            end = max(end, min(cut, len(data)))
            reports.append(ingest(store, [path]))
        path.write_bytes(data)
        ingest(whole, [path])
        assert set(kept(store)) >= set(kept(whole))
        # A line that was whole before it went on, and is broken now, was a message for a while.
        assert set(kept(store)) - set(kept(whole)) <= {b'{"a":1}'}
        assert quarantined(store) == quarantined(whole)
        assert faults(store) == []


def test_only_new_bytes_are_read(store: Store, path: Path) -> None:
    assert ingest(store, [path]).bytes_read == 16
    again = ingest(store, [path])
    assert (again.files, again.unchanged, again.bytes_read) == (0, 1, 0)
    append(path, b'{"a":3}\n{"a":1}\n')
    more = ingest(store, [path])
    assert (more.bytes_read, more.new, more.duplicates) == (16, 1, 1)


def test_a_torn_last_line_is_neither_lost_nor_quarantined(store: Store, path: Path) -> None:
    append(path, b'{"a":"to')
    assert ingest(store, [path]).new == 2
    append(path, b'rn"}')
    assert ingest(store, [path]).new == 1
    assert ingest(store, [path]).messages == 0  # it is looked at once more, and not counted
    append(path, b"\n")
    last = ingest(store, [path])
    assert (last.new, last.duplicates, last.quarantined) == (0, 0, 0)
    append(path, b'{"a":4}\n')
    assert ingest(store, [path]).new == 1
    assert kept(store) == [b'{"a":1}', b'{"a":2}', b'{"a":"torn"}', b'{"a":4}']
    assert quarantined(store) == []


def test_a_file_that_was_replaced_is_read_from_its_start_though_it_looks_as_if_it_had_grown(
    store: Store, path: Path, tmp_path: Path
) -> None:
    append(path, b'{"a":3}\n')
    ingest(store, [path])
    other = tmp_path / "other"
    other.write_bytes(b'{"a":1}\n{"a":8}\n{"a":3}\n{"a":9}\n')
    other.replace(path)
    assert ingest(store, [path]).new == 2


def test_a_file_that_has_another_time_and_the_same_size_is_read_from_its_start(store: Store, path: Path) -> None:
    append(path, b'{"a":3}\n')
    settle(path)
    ingest(store, [path])
    path.write_bytes(b'{"a":1}\n{"a":8}\n{"a":3}\n')
    assert ingest(store, [path]).new == 1


@pytest.mark.parametrize(
    "data",
    [b'{"a":7}\n', b'{"a":7}\n{"a":8}\n', b'{"a":7}\n{"a":2}\n{"a":8}\n', b'{"a":1}\n{"a":7}\n{"a":8}\n'],
    ids=["shorter", "as long", "longer, another start", "longer, another end"],
)
def test_a_file_that_was_rewritten_in_place_is_read_from_its_start(store: Store, path: Path, data: bytes) -> None:
    ingest(store, [path])
    path.write_bytes(data)
    report = ingest(store, [path])
    assert report.bytes_read == len(data)
    assert set(kept(store)) == {b'{"a":1}', b'{"a":2}', *distinct(data.splitlines())}


def test_a_change_right_after_reading_is_seen_though_size_and_time_are_the_same(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n')
    then = path.stat().st_mtime_ns
    ingest(store, [path])
    path.write_bytes(b'{"a":2}\n')
    os.utime(path, ns=(then, then))
    assert ingest(store, [path]).new == 1


def test_a_file_that_is_truncated_while_it_is_read_is_said_and_read_anew(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STRIDE", 1)
    append(path, b'{"a":3}\n')
    new = b'{"a":1}\n'

    def truncate(read: int, total: int, messages: int) -> None:
        if messages == 3:
            path.write_bytes(new)

    report = ingest(store, [path], watch=truncate)
    assert "rewritten" in report.problems[0].reason
    append(path, b'{"a":5}\n{"a":3}\n{"a":6}\n')
    assert ingest(store, [path]).new == 2
    assert set(kept(store)) == {b'{"a":%d}' % number for number in (1, 2, 3, 5, 6)}


def test_a_file_that_vanishes_after_it_was_found_is_said_and_the_others_are_read(
    store: Store, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "b.jsonl"
    other.write_bytes(b'{"a":3}\n')

    def vanish(read: int, total: int, messages: int) -> None:
        path.unlink(missing_ok=True)

    report = ingest(store, [tmp_path], watch=vanish)
    assert [(problem.path, problem.failed) for problem in report.problems] == [(str(path), False)]
    assert kept(store) == [b'{"a":3}']


def test_after_a_line_that_is_too_long_only_new_bytes_are_read(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST", 100)
    append(path, b"x" * 250)
    first = ingest(store, [path])
    assert (first.quarantined, first.bytes_read) == (1, 16 + 202)
    append(path, b"x" * 100 + b"\n")
    assert ingest(store, [path]).quarantined == 0
    append(path, b'{"a":4}\n')
    last = ingest(store, [path])
    assert (last.bytes_read, last.new) == (8, 1)
    assert b"".join(base64.b64decode(piece["bytes"]) for piece in quarantined(store)) == b"x" * 350 + b"\n"


def test_again_reads_everything_and_finds_only_duplicates(store: Store, path: Path) -> None:
    ingest(store, [path])
    report = ingest(store, [path], again=True)
    assert (report.bytes_read, report.new, report.duplicates) == (16, 0, 2)


def test_a_broken_line_that_is_read_again_is_not_quarantined_twice(store: Store, path: Path) -> None:
    append(path, b"broken\n")
    assert ingest(store, [path]).quarantined == 1
    assert ingest(store, [path], again=True).quarantined == 0
    assert len(quarantined(store)) == 1
