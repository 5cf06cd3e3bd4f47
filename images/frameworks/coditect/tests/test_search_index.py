"""The index holds the committed messages: however it came to be, whoever was killed, whatever lay there before."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_corpus import commit, make_messages, write_store
from search_stores import append, ask, dump, line_of, make_corpus, make_store, said, texts

from coditect.cli import call
from coditect.errors import StoreError
from coditect.search import build
from coditect.search.build import update
from coditect.search.database import locked
from coditect.store import Store

# Dies of SIGKILL after some batches, or in the middle of a transaction.
KILLED_AFTER = """
import os, sys
from pathlib import Path
from coditect.search import build
from coditect.store import Store
build.BATCH_MESSAGES = 20
batches, place = int(sys.argv[2]), sys.argv[3]
count = 0
def killing(act):
    def act_and_die(*given):
        global count
        count += 1
        act(*given)
        if count > batches:
            os.kill(os.getpid(), 9)
    return act_and_die
progress = print
if place == "in the rows":
    build._Writer._store = killing(build._Writer._store)
elif place == "before the commit":
    build.write_state = killing(build.write_state)
else:
    progress = killing(print)
build.update(Store(Path(sys.argv[1])), progress=progress)
"""


def fresh_dump(store: Store, root: Path) -> object:
    """What an index of the same messages says that was made in one go."""
    again = Store(root)
    write_store(root, store.messages.read_bytes()[: store.committed()].splitlines())
    update(again)
    return dump(again)


@pytest.mark.parametrize("place", ["in the rows", "before the commit", "after the commit"])
@pytest.mark.parametrize("batches", [0, 3])
def test_a_killed_run_is_finished_by_the_next(tmp_path: Path, batches: int, place: str) -> None:
    store, _ = make_corpus(tmp_path / "store", 120, seed=3)
    words = [sys.executable, "-c", KILLED_AFTER, str(store.root), str(batches), place]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    outcome = update(store)
    assert not outcome.reason
    assert outcome.added == 120 - 20 * (batches + (place == "after the commit"))
    assert dump(store) == fresh_dump(store, tmp_path / "again")


def test_runs_at_the_same_time_leave_one_index(tmp_path: Path) -> None:
    store, _ = make_corpus(tmp_path / "store", 400, seed=4)
    words = [sys.executable, "-m", "coditect", "index", "--json", "--store", str(store.root)]
    runs = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(3)]
    reports = [json.loads(run.communicate()[0]) for run in runs]
    assert sum(report["added"] for report in reports) == 400
    assert {report["messages"] for report in reports} == {400}
    assert dump(store) == fresh_dump(store, tmp_path / "again")


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted), batch=st.integers(7, 30))
def test_many_small_runs_say_the_same_as_one(cuts: list[int], batch: int) -> None:
    lines = [message.line for message in make_messages(60, 5)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "BATCH_MESSAGES", batch)
        store = Store(Path(folder) / "store")
        write_store(store.root, [])
        for start, end in zip([0, *cuts], [*cuts, 60]):
            append(store, lines[start:end])
            assert update(store).added == end - start
        assert dump(store) == fresh_dump(store, Path(folder) / "again")


def test_a_batch_ends_with_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "BATCH_BYTES", 5000)
    store, _ = make_corpus(tmp_path, 60, seed=6)
    steps: list[int] = []
    update(store, progress=lambda done, total: steps.append(done))
    assert len(steps) > 3
    assert steps[-1] == store.committed()
    assert max(end - start for start, end in zip([0, *steps], steps)) < 5000 + 2000


def test_bytes_behind_the_committed_length_are_not_looked_at(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["seen"])
    with store.messages.open("ab") as file:
        file.write(line_of(said("hidden", 1)) + b'\n{"torn')
    assert update(store).added == 0
    assert texts(store, "hidden") == []


def test_a_second_run_adds_nothing(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one", "two"])
    before = store.search.read_bytes()
    outcome = update(store)
    assert (outcome.added, outcome.state.messages, outcome.reason) == (0, 2, "")
    assert store.search.read_bytes() == before


def test_an_index_of_another_schema_is_made_anew(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one", "two"])
    with closing(sqlite3.connect(store.search)) as database:
        database.execute("PRAGMA user_version = 999")
        database.execute("DROP TABLE word")
    outcome = update(store)
    assert outcome.added == 2
    assert "schema" in outcome.reason
    assert texts(store, "two") == ["two"]


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one", "two"])
    store.search.write_bytes(b"no database " * 1000)
    assert "damaged" in update(store).reason
    assert texts(store, "two") == ["two"]


def test_an_empty_file_where_the_index_belongs_is_filled(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one"])
    store.search.write_bytes(b"")
    assert update(store).added == 1


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(["one"], id="an older, shorter state"),
        pytest.param(["one", "2wo", "three"], id="as long, another one in the middle"),
        pytest.param(["some", "other", "and more", "messages"], id="all others"),
        pytest.param([], id="nothing"),
    ],
)
def test_replaced_messages_are_noticed(tmp_path: Path, now: list[str]) -> None:
    store = make_store(tmp_path, ["one", "two", "three"])
    write_store(tmp_path, [line_of(said(text, number)) for number, text in enumerate(now)])
    outcome = update(store)
    assert "replaced" in outcome.reason
    assert sorted(texts(store, "")) == sorted(now)


def test_rebuild_makes_it_anew(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one", "two"])
    outcome = update(store, rebuild=True)
    assert (outcome.added, outcome.reason) == (2, "asked to")


def test_a_store_without_messages_has_an_empty_index(tmp_path: Path) -> None:
    assert update(Store(tmp_path / "new")).state.messages == 0


@pytest.mark.parametrize("change", [100, -3])
def test_a_committed_length_that_ends_no_line_is_said(tmp_path: Path, change: int) -> None:
    store = make_store(tmp_path, ["one"])
    store.search.unlink()
    commit(tmp_path, store.committed() + change)
    with pytest.raises(StoreError, match="middle of a line"):
        update(store)


def test_a_messages_file_that_is_gone_is_said(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one"])
    store.messages.unlink()
    store.search.unlink()
    with pytest.raises(StoreError, match="gone"):
        update(store)


def test_lines_that_are_no_messages_are_counted_and_left_out(tmp_path: Path) -> None:
    write_store(tmp_path, [line_of(said("one")), b"[1]", b"{", b"\xff\xfe", b"[" * 100_000, line_of(said("two", 1))])
    state = update(Store(tmp_path)).state
    assert (state.messages, state.broken) == (2, 4)
    assert sorted(texts(Store(tmp_path), "")) == ["one", "two"]


def test_text_that_utf8_cannot_carry_is_indexed(tmp_path: Path) -> None:
    lines = [rb'{"content":"lone \ud800 surrogate","role":"user","cwd":"\ud800"}', rb'{"content":"nul \u0000 byte"}']
    write_store(tmp_path, lines)
    update(Store(tmp_path))
    assert texts(Store(tmp_path), "surrogate") == ["lone ? surrogate"]
    assert len(texts(Store(tmp_path), "byte")) == 1


def test_a_megabyte_without_a_space_is_indexed(tmp_path: Path) -> None:
    blobs = ["a" * 1_000_000, "aB" * 500_000, "数" * 300_000]
    store = make_store(tmp_path, [*blobs, "needle"])
    assert texts(store, "needle") == ["needle"]


def test_who_cannot_wait_for_the_lock_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with locked(store) as first, locked(store, wait=False) as second:
        assert (first, second) == (True, False)
    with locked(store), (store.storage / ".search.lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_an_index_that_cannot_be_opened_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path, ["one"])
    store.search.unlink()
    store.search.mkdir()
    assert call(["index", "--store", str(tmp_path)]) == 3
    assert f"error: {store.search}: the search index cannot be written: " in capsys.readouterr().err


def test_the_verb_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path, ["one", "two"])
    shutil.rmtree(store.storage)
    write_store(tmp_path, [line_of(said("one")), b"[]"])
    assert call(["index", "--store", str(tmp_path)]) == 0
    said_there = capsys.readouterr()
    assert said_there.out.startswith("1 messages added, 1 in the index")
    assert "1 lines of the messages file are no messages" in said_there.err
    assert call(["index", "--json", "--rebuild", "--store", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["added"], report["broken"], report["rebuilt"]) == (1, 1, "asked to")


def test_a_reader_goes_on_while_the_index_is_made_anew(tmp_path: Path) -> None:
    store = make_store(tmp_path, ["one"])
    assert ask(store, "one").hits
    with closing(sqlite3.connect(store.search)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM state").fetchall()
        update(store, rebuild=True)
        assert reader.execute("SELECT messages FROM state").fetchone() == (1,)
