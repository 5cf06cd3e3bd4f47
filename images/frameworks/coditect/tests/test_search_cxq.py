"""The command cxq: headlines, one message, its neighbours; hints; and that no text is ever an error of SQL."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from search_corpus import write_store
from search_stores import append, around, ask, dump, line_of, make_store, said

from coditect import cli
from coditect.search import fresh
from coditect.search.cxq import HELP, call, read_words
from coditect.search.show import headline

if TYPE_CHECKING:
    from coditect.store import Store

NOTES = ["The parser fails on empty lines", "We keep tokens in Redis", "Deploy on Friday", "Never deploy on Friday"]
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store"), NOTES)


@pytest.fixture
def store(shared: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("CODITECT_STORE", str(shared.root))
    return shared


@pytest.mark.usefixtures("store")
def test_a_headline_tells_whence_and_what(capsys: Output) -> None:
    assert call(["redis"]) == 0
    head, snippet = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{10}  \d{4}-\d\d-\d\d \d\d:\d\d  user/text  a", head)
    assert snippet == "    We keep tokens in Redis"


def test_matched_words_are_bold_where_that_can_be_seen(store: Store) -> None:
    (hit,) = ask(store, "failing lines").hits
    assert "The parser \033[1mfails\033[0m on empty \033[1mlines\033[0m" in headline(hit, bold=True)
    assert "\033" not in headline(hit, bold=False)


@pytest.mark.parametrize(("typed", "marked"), [("time", "read\033[1mTime\033[0mStamp"), ("引", "索\033[1m引\033[0m重")])
def test_a_matched_piece_is_bold_too(tmp_path: Path, typed: str, marked: str) -> None:
    (hit,) = ask(make_store(tmp_path, ["call readTimeStamp", "数据索引重建"]), typed).hits
    assert marked in headline(hit, bold=True)


@pytest.mark.parametrize(("variables", "is_bold"), [({}, True), ({"NO_COLOR": ""}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_bold_words_unless_it_wants_none(
    store: Store, variables: dict[str, str], is_bold: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    inside, outside = os.openpty()
    words = [sys.executable, "-c", "from coditect.search.cxq import main; main()", "redis"]
    subprocess.run(words, stdout=outside, env={**environment, "TERM": "xterm", **variables}, check=True)
    os.close(outside)
    assert (b"\033[1mRedis\033[0m" in os.read(inside, 4096)) is is_bold
    os.close(inside)


def test_long_messages_are_cut_around_the_match(tmp_path: Path) -> None:
    (hit,) = ask(make_store(tmp_path, ["before " * 500 + "needle " + "after " * 500]), "needle").hits
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 300


def test_one_whole_message_by_the_first_digits_of_its_id(store: Store, capsys: Output) -> None:
    (hit,) = ask(store, "redis").hits
    assert call(["--show", hit.id[:6].upper()]) == 0
    shown = capsys.readouterr().out
    assert f"id       {hit.id}" in shown
    assert "project  /w/a" in shown
    assert shown.endswith("\n\nWe keep tokens in Redis\n")


def test_the_record_itself_as_json(store: Store, capsys: Output) -> None:
    (hit,) = ask(store, "redis").hits
    assert call(["--show", hit.id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["record"] == said(NOTES[1], 1)
    assert shown["time"] == "2025-10-09T08:54:20+00:00"


def test_neighbours_are_of_the_same_session_and_by_time(tmp_path: Path) -> None:
    records = [said(f"note {number}", number) for number in (3, 0, 5, 1, 6, 2, 4)]
    others = [said(f"other {number}", number, sessionId="s2") for number in range(7)]
    store = make_store(tmp_path, [*records, *others])
    (hit,) = ask(store, '"note 5"').hits
    assert around(store, hit, 2) == ["note 3", "note 4", "note 5", "note 6"]


def test_the_message_itself_is_marked_among_its_neighbours(store: Store, capsys: Output) -> None:
    (hit,) = ask(store, "redis").hits
    assert call(["--around", hit.id[:10], "-n", "1"]) == 0
    heads = capsys.readouterr().out.splitlines()[::2]
    assert [head[:2] for head in heads] == ["  ", "> ", "  "]


@pytest.mark.usefixtures("store")
def test_json_has_the_ids_to_go_on_with(capsys: Output) -> None:
    assert call(["--json", "deploy", "--limit=1"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)
    assert sorted(hit) == ["id", "kind", "project", "role", "session", "snippet", "time", "tool"]
    assert len(hit["id"]) == 64
    assert hit["snippet"] == "Deploy on Friday"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--show", "zz"], 2, "is no id"),
        (["--show", "00000000"], 1, "no message has an id"),
        (["--limit", "none", "x"], 2, "--limit needs a number"),
        (["--since", "yesterday", "x"], 2, "is no date"),
        (["--colour"], 2, "there is no option --colour"),
        (["--project"], 2, "--project needs a value"),
        (["🎉"], 2, "nothing in the query can be searched for"),
        (["redis", "--role", "pope"], 1, "no message has role 'pope'; there are: user"),
        (["redis", "--since", "1h"], 1, "hint: try it without"),
        (["qqqqqq"], 1, "hint: try fewer or other words"),
        (["parsnip"], 1, "nearest words: parser"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_went_wrong_is_said_with_a_hint(words: list[str], code: int, told: str, capsys: Output) -> None:
    assert call(words) == code
    assert told in capsys.readouterr().err


def test_two_messages_with_the_same_first_digits_are_told_apart(tmp_path: Path, capsys: Output) -> None:
    store = make_store(tmp_path, [f"note {number}" for number in range(600)])
    ids = sorted(row[1].hex() for row in dump(store)[0])
    twins = next(one[:4] for one, other in zip(ids, ids[1:]) if one[:4] == other[:4])
    assert call(["--store", str(tmp_path), "--show", twins]) == 2
    assert f"more than one id begins with {twins}" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_the_verb_search_is_the_same_command(capsys: Output) -> None:
    answers = []
    for run in (call, lambda words: cli.call(["search", *words])):
        assert run(["friday", "--limit", "5", "-never", "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert [hit["snippet"] for hit in answers[0]] == ["Deploy on Friday"]
    assert cli.call(["search", "--help"]) == 0
    assert capsys.readouterr().out == HELP


def test_every_word_after_two_dashes_is_searched_for() -> None:
    assert read_words(["a", "--limit", "2", "-b", "--", "--json", "c"]) == ({"--limit": "2"}, "a -b --json c")


def test_control_characters_of_a_message_never_reach_the_terminal(tmp_path: Path, capsys: Output) -> None:
    store = make_store(tmp_path, [said("needle \033[31mred\033]0;title\007 \x9b5m end\x02", cwd="/w/\033[1mx")])
    (hit,) = ask(store, "needle").hits
    for words in (["needle"], ["--show", hit.id], ["--around", hit.id], []):
        assert call(["--store", str(tmp_path), *words]) == 0
        assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out) is None


# Freshness --------------------------------------------------------------------------------------------------------


def test_a_few_new_messages_are_indexed_on_the_way(tmp_path: Path, capsys: Output) -> None:
    store = make_store(tmp_path, ["old"])
    append(store, [line_of(said("novel", 1))])
    assert call(["--store", str(tmp_path), "novel"]) == 0
    assert capsys.readouterr().err == ""


def test_without_indexing_what_is_missing_is_said(tmp_path: Path, capsys: Output) -> None:
    store = make_store(tmp_path, ["old"])
    append(store, [line_of(said("novel", 1))])
    assert call(["--store", str(tmp_path), "novel", "--no-index"]) == 1
    assert "not in the index yet; run: coditect index" in capsys.readouterr().err


def test_many_new_messages_are_indexed_when_asked_to(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path, ["old"])
    append(store, [line_of(said("novel", 1))])
    monkeypatch.setattr(fresh, "LITTLE_BYTES", 10)
    assert call(["--store", str(tmp_path), "novel"]) == 1
    assert "run: coditect index" in capsys.readouterr().err
    assert call(["--store", str(tmp_path), "novel", "--index"]) == 0


def test_a_replaced_messages_file_is_never_searched_by_the_old_index(tmp_path: Path, capsys: Output) -> None:
    make_store(tmp_path, ["old words", "older words"])
    write_store(tmp_path, [line_of(said(f"new words {number}")) for number in range(9)])
    assert call(["--store", str(tmp_path), "words", "--no-index"]) == 3
    assert "run: coditect index" in capsys.readouterr().err
    assert call(["--store", str(tmp_path), "words"]) == 0
    assert "new words" in capsys.readouterr().out


def test_a_message_that_lies_elsewhere_now_is_not_shown_as_json(tmp_path: Path, capsys: Output) -> None:
    store = make_store(tmp_path, ["one", "two"])
    (hit,) = ask(store, "one").hits
    content = store.messages.read_bytes()
    store.messages.write_bytes(content.replace(b"one", b"eno"))
    assert call(["--store", str(tmp_path), "--show", hit.id, "--json"]) == 3
    assert "is not the one that was indexed" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "told"), [([], "coditect sessions ingest"), (["--no-index"], "coditect index")])
def test_a_store_without_messages_or_without_an_index_is_said(
    tmp_path: Path, words: list[str], told: str, capsys: Output
) -> None:
    if words:
        write_store(tmp_path, [line_of(said("one"))])
    assert call(["--store", str(tmp_path), "word", *words]) == 3
    assert told in capsys.readouterr().err


def test_a_damaged_index_is_said(tmp_path: Path, capsys: Output) -> None:
    make_store(tmp_path, ["one"]).search.write_bytes(b"no database " * 1000)
    assert call(["--store", str(tmp_path), "one"]) == 3
    assert "run: coditect index --rebuild" in capsys.readouterr().err


def test_a_store_where_nobody_may_write_is_searched_all_the_same(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path, ["old"])
    append(store, [line_of(said("novel", 1))])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("coditect.search.database.locked", refuse)
    assert call(["--store", str(tmp_path), "old"]) == 0
    assert "cannot be brought up to date" in capsys.readouterr().err


# Any text is a query ----------------------------------------------------------------------------------------------

SYNTAX = st.lists(
    st.sampled_from(
        (
            *"\"'()*:^+-{}\0\\%_ \n;\u201c\u0301\ud800🎉",
            *("NEAR(", "AND", "OR", "NOT", "text:", "--", "deploy", "friday", "x", "索引", "readFields", "a_b"),
        )
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(typed=st.text() | SYNTAX.map(" ".join) | SYNTAX.map("".join))
@example("")
@example('"')
@example("OR")
@example("- -")
@example("NEAR(a b, 2)")
@example("a" * 100_000)
@example("word " * 5000)
@example(" OR ".join(f"w{number}" for number in range(3000)))
@example(" -".join(f"w{number}" for number in range(3000)))
@example("_".join(f"w{number}" for number in range(3000)))
@example("索引" * 3000)
def test_no_text_is_an_error(shared: Store, typed: str) -> None:
    assert call(["--store", str(shared.root), "--no-index", "--", typed]) in (0, 1, 2)


def test_a_reader_that_has_seen_enough_is_no_error(store: Store) -> None:
    words = [sys.executable, "-c", "from coditect.search.cxq import main; main()", "friday"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
