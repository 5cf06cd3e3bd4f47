"""The pointers into the sessions: what they say, and that they notice every change of what they point to."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from checkpoint_stores import message, write_messages
from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.checkpoints import pointers as module
from coditect.checkpoints.pointers import Pointers, check_pointers, read_pointers, take_pointers
from coditect.errors import StoreError
from coditect.records import canonical_json, message_id, read_fields
from coditect.store import Store

NAMES = st.sampled_from(["s1", "s2", 'say "hi"', "back\\slash", "ü", "\ud800", ""])
TEXTS = st.sampled_from(["x", '"sessionId":"s1"', '{"session":"s2"}', "line\nline", "long " * 40])
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"message": st.fixed_dictionaries({"content": TEXTS})},
        optional={
            "sessionId": NAMES, "session_id": NAMES, "session": NAMES,
            "inner": st.fixed_dictionaries({"sessionId": NAMES, "deeper": st.just([{"session": "s1"}])}),
        },
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(RECORDS, RECORDS, st.integers(1, 300), st.sampled_from([b"", b'{"sessionId":"s9"', b"junk\n"]))
def test_pointers_equal_those_of_reading_every_message(
    earlier: list[dict[str, Any]], later: list[dict[str, Any]], block: int, torn: bytes
) -> None:
    """At once, on top of earlier pointers, and on top of pointers that are of other messages."""
    records = [*earlier, *later]
    expected: dict[str, str] = {}
    for record in records:
        if session := read_fields(record).session:
            expected[session] = message_id(canonical_json(record)).hex()
    lines = b"".join(canonical_json(record) + b"\n" for record in records)
    with tempfile.TemporaryDirectory() as folder, patch.object(module, "BLOCK", block):
        store = Store(Path(folder))
        write_messages(store, earlier)
        before = take_pointers(store)
        write_messages(store, records, torn)
        taken = [take_pointers(store, known) for known in (None, before, replace(before, sha256="0"))]
    last = message_id(canonical_json(records[-1])).hex() if records else None
    wanted = Pointers(len(lines), len(records), hashlib.sha256(lines).hexdigest(), last, expected)
    assert taken == [wanted] * 3
    assert read_pointers(wanted.as_text(), "") == wanted


def test_a_store_without_sessions_has_empty_pointers(tmp_path: Path) -> None:
    assert take_pointers(Store(tmp_path)) == Pointers()
    check_pointers(Store(tmp_path), Pointers())


def test_messages_that_came_later_do_not_matter(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_messages(store, [message("a")])
    taken = take_pointers(store)
    write_messages(store, [message("a"), message("b")], b"torn")
    check_pointers(store, taken)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_changed_byte_is_noticed(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        write_messages(store, [message("a"), message("b")])
        taken = take_pointers(store)
        content = bytearray(store.messages.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        store.messages.write_bytes(content)
        with pytest.raises(StoreError, match="not those of the checkpoint"):
            check_pointers(store, taken)


def test_a_shorter_and_a_missing_messages_file_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_messages(store, [message("a")])
    taken = take_pointers(store)
    store.messages.write_bytes(b"{}\n")
    with pytest.raises(StoreError, match="3 are there"):
        check_pointers(store, taken)
    with pytest.raises(StoreError, match="3 are there"):
        take_pointers(store)
    store.messages.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        check_pointers(store, taken)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"committed": "x"}'])
def test_damaged_pointers_are_a_store_error(text: str) -> None:
    with pytest.raises(StoreError, match=r"sessions\.json is damaged"):
        read_pointers(text, "")
