"""history.json, as a start without a plan reads and dates it: what is strange there is none, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.adapters.history import FILE, HistoryStore
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import World


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    """Of a workstation that was up."""
    world = World()
    bring_up(world.context(), fingerprint="f")
    store = HistoryStore(lambda _: tmp_path)
    store.save("my-app", world.histories.load("my-app"))
    return store


def test_the_workstation_of_now_is_recalled_as_it_was_recorded(store: HistoryStore) -> None:
    recalled, current = store.recall("my-app"), store.load("my-app").current
    assert recalled is not None
    assert current is not None
    assert (recalled.spec, recalled.image) == (current.spec, current.image)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2, "history": {}}', '{"format": 1}', "[" * 100_000])
def test_what_cannot_be_read_is_nothing_to_go_by_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    store = HistoryStore(lambda _: tmp_path)
    assert store.recall("my-app") is None
    (tmp_path / FILE).write_text(text)
    assert store.recall("my-app") is None
    store.note_made("my-app", "2026")
    assert (tmp_path / FILE).read_text() == text


def test_the_date_is_written_and_nothing_else(store: HistoryStore, tmp_path: Path) -> None:
    before = json.loads((tmp_path / FILE).read_text())
    store.note_made("my-app", "2026-11-26T13:00:00Z")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    before["history"]["current"]["made"] = "2026-11-26T13:00:00Z"
    assert json.loads((tmp_path / FILE).read_text()) == before
    written = (tmp_path / FILE).stat().st_mtime_ns
    store.note_made("my-app", "2026-11-26T13:00:00Z")
    assert (tmp_path / FILE).stat().st_mtime_ns == written
