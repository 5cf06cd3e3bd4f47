"""Extraction over a store: incremental, repeatable, safe to kill, and careful with what a person wrote."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from knowledge_stores import SAMPLE, append, called, edited, lines_of, pages, spoken

from coditect import cli
from coditect.errors import StoreError
from coditect.knowledge import collect
from coditect.knowledge import extract as extracting
from coditect.knowledge import pages as paging
from coditect.knowledge.collect import Collection
from coditect.knowledge.extract import extract, open_collection, read_on
from coditect.knowledge.pages import write_pages
from coditect.memory import Memory
from coditect.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

DECISIONS = "decisions/2026-03.md"
TALK = [
    spoken("user", "Let's use SQLite for storage.", 1),
    spoken("assistant", "Should amounts be stored in cents or as decimals?", 2),
    spoken("user", "Always name tables in the singular.", 3),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commits(store: Store) -> int:
    return len(Memory(store).git("log", "--format=%h").split())


def interleaved() -> list[bytes]:
    """Both halves of the sample, the messages of several sessions mixed, each session in its own order."""
    chance = random.Random(7)  # noqa: S311 - a shuffle
    queues: dict[bytes, list[bytes]] = {}
    for path in sorted(SAMPLE.glob("*.jsonl")):
        for line in lines_of(path):
            queues.setdefault(line[line.index(b'"sessionId"') :][:40], []).append(line)
    mixed = []
    while queues:
        name = chance.choice(list(queues)[:5])
        mixed.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return mixed


MIXED = interleaved()


def grow(store: Store, lines: list[bytes]) -> None:
    """New messages, and a run without its commit."""
    append(store, lines)
    with open_collection(store) as collection:
        read_on(collection, store)
        write_pages(store.memory / "knowledge", collection.items())


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    whole = Store(tmp_path_factory.mktemp("whole"))
    grow(whole, MIXED)
    return pages(whole)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(MIXED)), max_size=4))
def test_any_split_of_the_messages_gives_the_same_markdown(at_once: dict[str, str], cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(MIXED)]):
            grow(store, MIXED[start:end])
        assert pages(store) == at_once


def test_state_survives_a_break_after_every_message() -> None:
    whole, parts = Collection(":memory:"), Collection(":memory:")
    for line in MIXED:
        whole.add_line(line)
        parts.begin()
        parts.add_line(line)
        parts.commit(0)
        parts.forget_states()
    assert list(parts.items()) == list(whole.items())


def test_a_second_run_changes_nothing(store: Store) -> None:
    append(store, TALK)
    assert extract(store).committed
    before = (pages(store), commits(store))
    outcome = extract(store)
    assert (outcome.messages, outcome.written, outcome.committed) == (0, [], False)
    assert (pages(store), commits(store)) == before


def test_an_item_says_when_where_and_how_to_show_it(store: Store) -> None:
    append(store, TALK)
    extract(store)
    page = pages(store)[DECISIONS]
    assert "- Let's use SQLite for storage. <!-- " in page
    assert "  2026-03-14 · project `/home/ana/shop` · session `s` · `cxq --show " in page


def test_bytes_behind_the_committed_length_are_not_read(store: Store) -> None:
    append(store, TALK[:1])
    with store.messages.open("ab") as file:
        file.write(spoken("user", "Let's use Redis for sessions.") + b"\n" + b'{"torn')
    assert extract(store).messages == 1
    assert "Redis" not in pages(store)[DECISIONS]


def test_what_a_person_changed_stays(store: Store) -> None:
    append(store, TALK)
    extract(store)
    page = store.memory / "knowledge" / DECISIONS
    page.write_text(page.read_text().replace("Let's use SQLite", "SQLite, decided by Ana,") + "  Checked in May.\n")
    edited_text = page.read_text()
    append(store, [spoken("user", "Let's use TOML for settings.", 9)])
    extract(store)
    assert page.read_text().startswith(edited_text)
    assert "TOML" in page.read_text()


def test_what_a_person_deleted_is_not_written_again(store: Store) -> None:
    append(store, TALK)
    extract(store)
    page = store.memory / "knowledge" / DECISIONS
    page.write_text(page.read_text().split("- Let's")[0])
    append(store, [spoken("user", "Let's use TOML for settings.", 9)])
    extract(store)
    assert "SQLite" not in page.read_text()
    (store.storage / "knowledge.sqlite").unlink()
    extract(store)
    assert "SQLite" not in page.read_text()
    assert "TOML" in page.read_text()


def test_a_deleted_page_stays_away(store: Store) -> None:
    append(store, TALK)
    extract(store)
    (store.memory / "knowledge" / DECISIONS).unlink()
    extract(store)
    assert DECISIONS not in pages(store)


def test_an_answered_question_leaves_the_page_unless_a_person_changed_it(store: Store) -> None:
    append(store, TALK)
    extract(store)
    page = store.memory / "knowledge" / "questions" / "2026-03.md"
    kept = page.read_text().replace("Should amounts", "[ask Bob] Should amounts")
    answer = [spoken("assistant", "Amounts are stored in cents now, decimals would be slower.", 5)]
    other = Store(store.root.with_name("other"))
    shutil.copytree(store.root, other.root)
    append(store, answer)
    extract(store)
    assert not page.exists()
    twin = other.memory / "knowledge" / "questions" / "2026-03.md"
    twin.write_text(kept)
    append(other, answer)
    extract(other)
    assert twin.read_text() == kept


def test_windows_line_ends_are_no_change_of_an_item(store: Store) -> None:
    append(store, TALK)
    extract(store)
    page = store.memory / "knowledge" / "questions" / "2026-03.md"
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    append(store, [spoken("assistant", "Amounts are stored in cents now, decimals would be slower.", 5)])
    extract(store)
    assert "decimals?" not in (page.read_text() if page.exists() else "")


class KilledError(Exception):
    """Stands for kill -9: nothing after it runs."""


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (Collection, "commit", 1),
        (extracting, "write_pages", 1),
        (paging, "render", 2),
        *((paging, "_write", call) for call in (1, 2, 3, 4)),
        (extracting, "_commit", 1),
    ],
)
def test_killed_at_any_point_the_next_run_is_right(
    store: Store, monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int
) -> None:
    append(store, TALK)
    extract(store)
    page = store.memory / "knowledge" / DECISIONS
    page.write_text(page.read_text().split("- Let's")[0])
    append(store, [spoken("user", "Let's use TOML for settings.", 9), spoken("user", "Never commit secrets.", 10)])
    with monkeypatch.context() as patch:
        patch.setattr(module, name, _dying(getattr(module, name), call))
        with pytest.raises(KilledError):
            extract(store)
    extract(store)
    assert "TOML" in page.read_text()
    assert "SQLite" not in page.read_text()
    assert "Never commit secrets." in pages(store)["patterns/2026-03.md"]
    assert not Memory(store).git("status", "--porcelain", "--", "knowledge").strip()


def _dying(call: Callable[..., object], at: int) -> Callable[..., object]:
    count = 0

    def wrapper(*words: object) -> object:
        nonlocal count
        count += 1
        if count == at:
            raise KilledError
        return call(*words)

    return wrapper


def test_another_messages_file_is_read_from_its_start(store: Store) -> None:
    append(store, TALK)
    extract(store)
    store.messages.unlink()
    append(store, [spoken("user", "Let's use TOML for settings, and nothing else at all in this place.", 9), *TALK[1:]])
    extract(store)
    assert "TOML" in pages(store)[DECISIONS]
    assert "SQLite" not in pages(store)[DECISIONS]


def test_a_session_resumed_under_another_name_says_nothing_twice(store: Store) -> None:
    append(store, [*TALK, spoken("user", "Let's use SQLite for storage.", 1, session="resumed")])
    extract(store)
    assert pages(store)[DECISIONS].count("SQLite") == 1


def test_since_adds_nothing_older_and_removes_nothing(store: Store) -> None:
    append(store, [spoken("user", "Let's use SQLite for storage.", timestamp="2025-01-05T10:00:00Z"), *TALK[2:]])
    assert cli.call(["knowledge", "extract", "--store", str(store.root), "--since", "2026-01-01"]) == 0
    assert not any(name.startswith("decisions") for name in pages(store))
    extract(store)
    assert "SQLite" in pages(store)["decisions/2025-01.md"]
    assert cli.call(["knowledge", "extract", "--store", str(store.root), "--since", "2026-01-01"]) == 0
    assert "SQLite" in pages(store)["decisions/2025-01.md"]


def test_a_line_that_is_too_long_is_passed_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting, "LONGEST_LINE", 2_000)
    huge = spoken("user", "Let's use Redis. " + "x" * 5_000)
    append(store, [TALK[0], huge, *called("make", "ok", False), edited("a.py"), TALK[2]])
    outcome = extract(store)
    assert outcome.messages == 6
    assert "Redis" not in pages(store)[DECISIONS]
    assert extract(store).messages == 0


def test_secrets_do_not_get_into_the_pages(store: Store) -> None:
    append(store, [spoken("user", "Let's use API_KEY=abc123def456 instead of the password: hunter2 for staging.", 1)])
    extract(store)
    text = pages(store)[DECISIONS]
    assert "[hidden]" in text
    assert "abc123" not in text
    assert "hunter2" not in text


def test_a_damaged_database_is_named_with_what_to_do(store: Store) -> None:
    append(store, TALK)
    (store.storage / "knowledge.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be read") as caught:
        extract(store)
    assert "delete the file" in caught.value.hint


def test_a_database_that_is_in_use_is_not_to_be_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append(store, TALK)
    extract(store)
    append(store, [spoken("user", "Let's use TOML for settings.", 9)])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{**more, "timeout": 0}))
    with closing(sqlite3.connect(store.storage / "knowledge.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked") as caught:
            extract(store)
        assert caught.value.hint == "another run is at work: try again"
        assert cli.call(["knowledge", "list", "--store", str(store.root)]) == 3
    assert extract(store).messages == 1


def test_items_of_older_rules_are_listed_as_such_until_the_next_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append(store, TALK)
    extract(store)
    monkeypatch.setattr(collect, "VERSION", "newer")
    assert cli.call(["knowledge", "list", "--store", str(store.root)]) == 0
    said = capsys.readouterr()
    assert said.err == "these items are of older rules; run: coditect knowledge extract\n"
    assert len(said.out.splitlines()) == 3
    assert extract(store).messages == 3
    assert cli.call(["knowledge", "list", "--store", str(store.root)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("time", [1e300, -1e300, float("inf")])
def test_an_item_with_a_time_that_no_calendar_has_is_listed_without_a_day(
    store: Store, capsys: pytest.CaptureFixture[str], time: float
) -> None:
    append(store, TALK[:1])
    extract(store)
    with closing(sqlite3.connect(store.storage / "knowledge.sqlite")) as database, database:
        database.execute("UPDATE items SET time = ?", (time,))
    capsys.readouterr()
    assert cli.call(["knowledge", "list", "--store", str(store.root)]) == 0
    assert capsys.readouterr().out.startswith("-     ")


def test_list_prints_items_of_a_kind(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    append(store, TALK)
    assert cli.call(["knowledge", "list", "--store", str(store.root)]) == 2
    extract(store)
    capsys.readouterr()
    assert cli.call(["knowledge", "list", "--store", str(store.root), "--kind", "pattern"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("Always name tables in the singular.")
    assert cli.call(["knowledge", "list", "--store", str(store.root), "--json"]) == 0
    assert '"kind": "question"' in capsys.readouterr().out
