"""Each distinct message is kept once, in the order of first sight; what is no message is in quarantine."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions_oracle import distinct, faults, kept, quarantined, quick_folder, session_lines

from coditect.sessions import index, keeper, reading
from coditect.sessions.index import Source
from coditect.sessions.ingest import ingest
from coditect.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@settings(max_examples=60, deadline=None)
@given(files=st.lists(session_lines(), min_size=1, max_size=3))
def test_the_store_equals_the_set_of_canonical_json(files: list[list[bytes]]) -> None:
    with quick_folder() as folder:
        store = Store(folder / "store")
        paths = [write(folder / f"{number}.jsonl", *lines) for number, lines in enumerate(files)]
        report = ingest(store, paths)
        lines = [line for one in files for line in one if line.strip()]
        assert kept(store) == distinct(lines)
        assert (report.new, report.messages) == (len(kept(store)), len(lines) - report.quarantined)
        assert report.quarantined == sum(not distinct([line]) for line in lines)
        assert [base64.b64decode(entry["bytes"]) for entry in quarantined(store)] == [
            line for line in lines if not distinct([line])
        ]
        assert faults(store) == []


def test_the_same_message_in_other_words_is_kept_once_and_other_numbers_are_not_the_same(
    store: Store, tmp_path: Path
) -> None:
    lines = [
        b'{"b": 1, "a": "\\u00e9"}',
        '{"a":"é","b":1}'.encode(),
        b'{"a":9007199254740993}',
        b'{"a":9007199254740992}',
        b'{"a":1}',
        b'{"a":1.0}',
        b'{"a":true}',
        b'{"a":"1"}',
        b'{"a":123456789012345678901234567890}',
    ]
    report = ingest(store, [write(tmp_path / "a.jsonl", *lines)])
    assert (report.new, report.duplicates, report.quarantined) == (8, 1, 0)
    assert kept(store) == distinct(lines)


def test_a_broken_line_goes_into_quarantine_with_its_file_line_place_reason_and_bytes(
    store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", b'{"a":1}', b'{"a":\xff}', b'{"a":2}')
    report = ingest(store, [path])
    [entry] = quarantined(store)
    assert (report.new, report.quarantined, report.problems) == (2, 1, ())
    assert (entry["file"], entry["line"], entry["offset"]) == (str(path), 2, 8)
    assert base64.b64decode(entry["bytes"]) == b'{"a":\xff}'
    assert "utf-8" in entry["reason"]


@pytest.mark.parametrize("line", [b'{"a":1e999}', b'{"a":-1e999}', b'{"a":Infinity}', b"[" * 10**5, b'{"a":' * 10**5])
def test_what_has_no_canonical_form_is_never_kept(store: Store, tmp_path: Path, line: bytes) -> None:
    report = ingest(store, [write(tmp_path / "a.jsonl", line, b'{"a":1}')])
    assert (report.new, report.quarantined) == (1, 1)
    assert kept(store) == [b'{"a":1}']


def test_a_line_that_is_too_long_goes_into_quarantine_in_pieces_and_the_next_one_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    monkeypatch.setattr(keeper, "PIECE", 300)
    just = b'{"a":"' + b"j" * 992 + b'"}'
    long = b'{"a":"' + b"x" * 5000 + b'"}'
    report = ingest(store, [write(tmp_path / "a.jsonl", just, long, b'{"a":1}')])
    assert (report.new, report.quarantined) == (2, 1)
    pieces = quarantined(store)
    assert b"".join(base64.b64decode(piece["bytes"]) for piece in pieces).strip() == long
    assert {piece["line"] for piece in pieces} == {2}
    assert max(len(piece["bytes"]) for piece in pieces) <= 400


def test_a_store_holds_its_messages_when_it_is_ingested_itself(store: Store, tmp_path: Path) -> None:
    ingest(store, [write(tmp_path / "a.jsonl", b'{"b":1,"a":2}', b'{"a":1}')])
    other = Store(tmp_path / "other")
    ingest(other, [store.messages])
    assert kept(other) == kept(store)
    (tmp_path / "way-in").symlink_to(store.root)
    assert ingest(store, [tmp_path / "way-in", tmp_path]).files == 4  # the other store, and not this one


def test_a_line_that_was_seen_in_another_run_is_known_without_parsing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [b'{"b":1, "a":2}', b'{"a":2,"b":1}', b'{"c":1}']
    ingest(store, [write(tmp_path / "a.jsonl", *lines)])
    monkeypatch.setattr(keeper, "parse_record", None)
    report = ingest(store, [write(tmp_path / "b.jsonl", *reversed(lines))])
    assert (report.new, report.duplicates) == (0, 3)


def test_no_more_lines_are_remembered_than_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "RECENT", 10)
    with store.locked("test"), keeper.Keeper(store) as kept_open:
        for number in range(100):
            kept_open.take(b'{"a":%d}' % number, Source(1, b"x"), number, 0)
            assert len(kept_open._recent) <= 10


def test_more_messages_than_fit_into_memory_are_still_kept_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RECENT", 3)
    monkeypatch.setattr(index, "TOGETHER", 5)
    lines = [json.dumps({"a": number % 17, "b": 0}).encode() for number in range(200)]
    report = ingest(store, [write(tmp_path / "a.jsonl", *lines)])
    assert (report.new, report.duplicates) == (17, 183)


def test_an_index_that_is_lost_is_made_anew_from_the_messages(store: Store, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", b'{"b":1,"a":2}', b'{"a":1}', b"broken")
    ingest(store, [first])
    before = kept(store)
    store.index.unlink()
    with store.messages.open("ab") as file:
        file.write(b'{"torn')
    report = ingest(store, [first, write(tmp_path / "b.jsonl", b'{"a":3}')])
    assert (report.new, report.duplicates) == (1, 2)
    assert kept(store) == [*before, b'{"a":3}']
    assert faults(store) == []
