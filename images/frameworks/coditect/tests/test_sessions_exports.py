"""Exports: arrays and objects that hold one, cut into entries without being read as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions_oracle import RECORDS, distinct, faults, kept, quarantined, settle

from coditect.sessions import exports
from coditect.sessions.exports import Cutter, Entry
from coditect.sessions.ingest import ingest
from coditect.store import Store

ONE = {"role": "user", "content": 'one " quote, [ a bracket, { a brace and \\'}
TWO = {"role": "assistant", "content": [{"type": "text", "text": "é\n"}]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def canonical(*records: dict[str, Any]) -> list[bytes]:
    return distinct(json.dumps(record).encode() for record in records)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "export",
    [
        [ONE, TWO, ONE],
        {"title": "messages", "messages": [ONE, TWO], "more": [1]},
        {"title": "[{", "tags": [{"messages": 1}], "conversation": {"id": 1, "messages": [ONE, TWO]}},
        {"conversations": [{"name": "x", "chat_messages": [ONE]}, {"name": "y", "chat_messages": [TWO, ONE]}]},
        [{"uuid": "1", "chat_messages": [ONE, TWO]}, {"uuid": "2", "chat_messages": []}],
        {"history": [ONE], "messages": [TWO]},
        {"session": {"id": 1, "tags": ["x"]}, "messages": [ONE, TWO]},
    ],
    ids=[
        "array",
        "messages",
        "conversation",
        "conversations",
        "array of conversations",
        "two lists",
        "list after an object",
    ],
)
def test_the_messages_of_every_form_of_export_are_found(
    store: Store, tmp_path: Path, export: object, indent: int | None
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export, indent=indent))
    report = ingest(store, [path])
    assert (kept(store), report.quarantined, report.problems) == (canonical(ONE, TWO), 0, ())


def test_a_message_by_itself_and_values_one_after_another(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(ONE) + "\n" + json.dumps(TWO))
    ingest(store, [path])
    assert kept(store) == canonical(ONE, TWO)


def test_exports_one_after_another_in_one_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"messages": [ONE]}) + json.dumps({"messages": [TWO]}) + json.dumps([ONE]))
    report = ingest(store, [path])
    assert (kept(store), report.duplicates, report.problems) == (canonical(ONE, TWO), 1, ())


def test_much_before_the_list_of_messages_does_no_harm(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LONGEST", 200)
    monkeypatch.setattr(exports, "CHUNK", 64)
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"title": "t" * 300, "messages": [ONE, TWO]}))
    assert ingest(store, [path]).problems == ()
    assert kept(store) == canonical(ONE, TWO)
    path.write_text(json.dumps({"title": "t" * 300, "type": "x"}))
    assert "longer than" in ingest(store, [path]).problems[0].reason


def test_a_message_that_holds_a_list_of_messages_is_kept_whole(store: Store, tmp_path: Path) -> None:
    quoting = {"role": "user", "content": "look", "messages": [TWO]}
    path = tmp_path / "export.json"
    path.write_text(json.dumps([quoting]))
    ingest(store, [path])
    assert kept(store) == canonical(quoting)


def test_an_object_without_messages_is_said_and_nothing_of_it_is_kept(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "package.json"
    path.write_text('{"name": "x", "dependencies": {"a": "1"}}')
    report = ingest(store, [path])
    assert (report.messages, report.quarantined) == (0, 0)
    assert "holds no messages" in report.problems[0].reason


def test_what_is_broken_in_an_export_does_not_take_the_rest_with_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(b'[\n{"role":"user","content":1},\n{"role": broken},\n"text", 12,\n{"role":"user","content":2}]')
    report = ingest(store, [path])
    assert (report.new, report.quarantined) == (2, 2)
    assert [entry["line"] for entry in quarantined(store)] == [3, 4]
    assert faults(store) == []


def test_an_export_that_is_still_being_written_is_read_as_far_as_it_is_whole(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    text = json.dumps([ONE, TWO])
    path.write_text(text[:-20])
    report = ingest(store, [path])
    assert (kept(store), report.quarantined) == (canonical(ONE), 0)
    assert "ends in the middle" in report.problems[0].reason
    path.write_text(text)
    assert ingest(store, [path]).new == 1


def test_an_export_is_read_again_only_when_it_has_changed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([ONE]))
    settle(path)
    assert [ingest(store, [path]).bytes_read > 0 for _ in range(2)] == [True, False]


def test_an_entry_that_is_too_long_is_said_and_left_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LONGEST", 200)
    monkeypatch.setattr(exports, "CHUNK", 64)
    long = {"role": "user", "content": "x" * 1000}
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"title": "t" * 300, "messages": [ONE, long, TWO]}))
    report = ingest(store, [path])
    assert kept(store) == canonical(ONE, TWO)
    assert "longer than" in report.problems[0].reason


def cut(data: bytes, size: int) -> list[Entry]:
    cutter = Cutter()
    entries = [entry for start in range(0, len(data), size) for entry in cutter.feed(data[start : start + size])]
    return [*entries, *cutter.finish()]


def test_a_list_is_entered_after_an_object_that_might_have_held_it() -> None:
    entries = cut(b'{"session": {"id": 1, "messages": 2}, "messages": [{"a": 1}, {"a": 2}]}', 7)
    assert [entry.raw for entry in entries] == [b'{"a": 1}', b'{"a": 2}']


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(RECORDS, max_size=5),
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    key=st.sampled_from(["", "messages"]),
)
def test_entries_are_the_records_wherever_the_chunks_are_cut(
    records: list[dict[str, Any]], size: int, indent: int | None, key: str
) -> None:
    data = json.dumps({"x": {"y": [[]]}, key: records, "z": "["} if key else records, indent=indent).encode()
    entries = cut(data, size)
    assert [json.loads(entry.raw) for entry in entries] == records
    for entry in entries:
        assert data[entry.offset :].startswith(entry.raw)
        assert entry.line == data[: entry.offset].count(b"\n") + 1


@settings(max_examples=150, deadline=None)
@given(
    data=st.lists(st.sampled_from([*b'[]{}",\\ :a', *b'"messages":[']), max_size=40).map(bytes), size=st.integers(1, 7)
)
def test_no_bytes_however_odd_upset_the_cutter_and_chunks_make_no_difference(data: bytes, size: int) -> None:
    assert cut(data, size) == cut(data, max(len(data), 1))
