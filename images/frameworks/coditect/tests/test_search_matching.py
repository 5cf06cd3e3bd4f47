"""What a query finds: words in any order and form, phrases, exclusions, identifiers, text without spaces, slips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from search_stores import ask, make_store, texts

from coditect.search.spelling import edit_distance

if TYPE_CHECKING:
    from coditect.store import Store

NOTES = (
    "We decided to keep the session tokens in Redis",
    "The parser fails on an empty line",
    "Call read_fields before readTimeStamp in src/records/parser.py",
    "npm ERR! code ERR_MODULE_NOT_FOUND while loading HTTPServer",
    "数据库索引的重建需要十秒",
    "Она написала письмо",
    "The children wrote tests quickly",
    "Überprüfung der Konfiguration",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store"), NOTES)


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("redis session decided", 0),  # any order
        ("deciding sessions token", 0),  # other forms
        ('"session tokens"', 0),
        ("\u201csession tokens\u201d", 0),
        ("sess* redis", 0),
        ("EMPTY LINES", 1),
        ("parsr fials", 1),  # slips
        ("read_fields", 2),
        ("fields", 2),
        ("readFields", 2),
        ("read_time_stamp", 2),
        ("stamp", 2),
        ("src/records/parser.py", 2),
        ("records/parser", 2),
        ("ERR_MODULE_NOT_FOUND", 3),
        ("module_not", 3),
        ("http server", 3),
        ("read_feilds", 2),
        ("索引", 4),
        ("库", 4),
        ("秒", 4),
        ("索引的重建", 4),
        ("письмо", 5),
        ("\u043f\u0438\u0441\u044c\u043ca", 5),  # a Latin a at its end
        ("child writes quick", 6),
        ("rewrote OR written", 6),
        ("uberprufung", 7),
        ("ÜBERPRÜFUNG", 7),
    ],
)
def test_the_note_that_is_meant_comes_first(store: Store, typed: str, note: int) -> None:
    assert texts(store, typed)[:1] == [NOTES[note]]


def test_a_phrase_is_not_found_in_another_order(store: Store) -> None:
    assert texts(store, '"tokens session"') == []


def test_a_word_of_a_phrase_is_not_corrected(store: Store) -> None:
    assert texts(store, '"sesion tokens"') == []


@pytest.mark.parametrize("typed", ["the -redis", "the NOT redis", 'the -"session tokens"'])
def test_an_excluded_word_or_phrase_is_in_no_hit(store: Store, typed: str) -> None:
    assert sorted(texts(store, typed)) == sorted([NOTES[1], NOTES[6]])


def test_exclusion_alone_leaves_all_others(store: Store) -> None:
    assert len(texts(store, "-the", limit=20)) == len(NOTES) - 3


def test_or_takes_either(store: Store) -> None:
    assert sorted(texts(store, "redis OR parser")) == sorted([NOTES[0], NOTES[1], NOTES[2]])


def test_or_binds_its_neighbours_and_the_rest_is_asked_for_too(store: Store) -> None:
    assert texts(store, "redis OR parser empty")[0] == NOTES[1]
    assert "redis" not in texts(store, "redis OR parser empty")[0].lower()


def test_messages_with_all_words_come_before_those_with_most(tmp_path: Path) -> None:
    notes = ["alpha beta", "alpha beta gamma " + "filler " * 30, "beta gamma", "gamma"]
    found = texts(make_store(tmp_path, notes), "alpha beta gamma")
    assert found[0] == notes[1]
    assert set(found) == set(notes[:3])  # the last one lacks two


def test_where_some_have_all_words_no_other_lacks_more_than_one(tmp_path: Path) -> None:
    notes = ["alpha beta gamma delta", "alpha beta gamma", "alpha beta"]
    assert texts(make_store(tmp_path, notes), "alpha beta gamma delta") == notes[:2]


def test_that_a_query_is_too_long_is_said(store: Store) -> None:
    found = ask(store, "redis " * 64 + "banana")
    assert len(found.hits) == 1
    assert found.remarks == ["the query is long: 1 of its words were left out"]


def test_that_words_are_missing_is_said(store: Store) -> None:
    found = ask(store, "redis banana parser")
    assert any("all of the words" in remark for remark in found.remarks)
    assert found.unknown == ["banana"]


def test_a_correction_is_said(store: Store) -> None:
    assert ask(store, "parsr").remarks == ["no message has 'parsr'; searched for parser"]


def test_a_rare_word_counts_more_than_a_common_one(tmp_path: Path) -> None:
    notes = [*(f"common words here {number}" for number in range(20)), "a rare zebra"]
    assert texts(make_store(tmp_path, notes), "common zebra")[0] == "a rare zebra"


def test_of_very_many_messages_the_newest_are_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coditect.search.find.RANKED", 5)
    store = make_store(tmp_path, [f"same words {number}" for number in range(30)])
    found = ask(store, "same", limit=3)
    assert {hit.row for hit in found.hits} <= set(range(26, 31))
    assert any("newest 5" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "acb", 1), ("abc", "ab", 1), ("abcd", "badc", 2)],
)
def test_edit_distance(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other, 2) == distance
    assert edit_distance(other, one, 2) == distance


def test_edit_distance_gives_up_where_it_is_too_far() -> None:
    assert edit_distance("kitten", "sitting", 2) == 3
    assert edit_distance("a", "abcdefgh", 2) == 3
