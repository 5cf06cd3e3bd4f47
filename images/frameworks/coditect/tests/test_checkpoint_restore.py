"""`coditect checkpoint restore`: what comes back, what stays, and what is never lost."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_stores import git, in_child, isolate, message, write_messages

from coditect.checkpoints import command
from coditect.checkpoints.checkpoint import create_checkpoint, find_checkpoint
from coditect.checkpoints.restore import find_losses, restore_files
from coditect.cli import call
from coditect.memory import Memory
from coditect.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Checkpoint `one` has notes "one" and a file in knowledge/; then notes are "two" and the file is gone."""
    isolate(monkeypatch.setenv, monkeypatch.delenv, tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # a killed run cannot tidy up
    monkeypatch.setenv("CODITECT_STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    write_messages(store, [message("a")])
    memory = Memory(store)
    memory.ensure()
    (store.memory / "knowledge").mkdir()
    (store.memory / "knowledge" / "errors.md").write_text("e\n")
    (store.memory / "notes.md").write_text("one\n")
    create_checkpoint(store, memory, "one", "")
    (store.memory / "notes.md").write_text("two\n")
    (store.memory / "knowledge" / "errors.md").unlink()
    (store.memory / "later.md").write_text("later\n")
    write_messages(store, [message("a"), message("b")])
    create_checkpoint(store, memory, "two", "")
    return store


def notes(store: Store) -> str:
    return (store.memory / "notes.md").read_text()


def test_files_are_those_of_the_checkpoint_and_history_goes_on(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = store.messages.read_bytes()
    assert call(["checkpoint", "restore", "one"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "added    knowledge/errors.md", "removed  later.md", "changed  notes.md", "restored one: 3 files changed"
    ]  # fmt: skip
    assert said.err == "sessions: all 1 message of the checkpoint are there\n"
    assert notes(store) == "one\n"
    assert git(store, "rev-parse", "main^{tree}") == git(store, "rev-parse", "checkpoint/one^{tree}")
    assert git(store, "rev-parse", "main^") == git(store, "rev-parse", "checkpoint/two^{commit}")
    assert git(store, "status", "--porcelain") == ""
    assert store.messages.read_bytes() == sessions


def test_restoring_what_is_there_changes_nothing(store: Store) -> None:
    before = git(store, "rev-parse", "main")
    assert call(["checkpoint", "restore", "two"]) == 0
    assert git(store, "rev-parse", "main") == before


def edit(store: Store) -> None:
    (store.memory / "notes.md").write_text("unsaved\n")


def stage(store: Store) -> None:
    edit(store)
    git(store, "add", "notes.md")


def put_untracked_in_the_way(store: Store) -> None:
    (store.memory / "knowledge").mkdir(exist_ok=True)
    (store.memory / "knowledge" / "errors.md").write_text("unsaved\n")


def put_ignored_in_the_way(store: Store) -> None:
    put_untracked_in_the_way(store)
    (store.memory / ".git" / "info").mkdir()
    (store.memory / ".git" / "info" / "exclude").write_text("knowledge\n")


def put_file_where_a_folder_comes(store: Store) -> None:
    (store.memory / "knowledge").rmdir() if (store.memory / "knowledge").exists() else None
    (store.memory / "knowledge").write_text("unsaved\n")


def edit_what_will_be_removed(store: Store) -> None:
    (store.memory / "later.md").write_text("unsaved\n")


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (edit, "notes.md"),
        (stage, "notes.md"),
        (put_untracked_in_the_way, "knowledge/errors.md"),
        (put_ignored_in_the_way, "knowledge/errors.md"),
        (put_file_where_a_folder_comes, "knowledge"),
        (edit_what_will_be_removed, "later.md"),
    ],
)
def test_work_in_no_commit_is_refused_and_stays_as_it_is(
    store: Store, capsys: pytest.CaptureFixture[str], spoil: Callable[[Store], None], name: str
) -> None:
    spoil(store)
    before = git(store, "rev-parse", "main")
    assert call(["checkpoint", "restore", "one"]) == 6
    assert f"would be overwritten: {name}\n" in capsys.readouterr().err
    assert (store.memory / name).read_text() == "unsaved\n"
    assert git(store, "rev-parse", "main") == before


@pytest.mark.parametrize("spoil", [edit, stage, put_untracked_in_the_way, put_file_where_a_folder_comes])
def test_discard_drops_it(store: Store, spoil: Callable[[Store], None]) -> None:
    spoil(store)
    assert call(["checkpoint", "restore", "one", "--discard"]) == 0
    assert notes(store) == "one\n"
    assert (store.memory / "knowledge" / "errors.md").read_text() == "e\n"
    assert git(store, "status", "--porcelain") == ""


def test_keep_makes_a_checkpoint_that_brings_it_back(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    edit(store)
    assert call(["checkpoint", "restore", "one", "--keep", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)["kept"]
    assert kept.startswith("before-restore-")
    assert notes(store) == "one\n"
    assert call(["checkpoint", "restore", kept]) == 0
    assert notes(store) == "unsaved\n"


def test_untracked_files_in_nobodys_way_stay(store: Store) -> None:
    (store.memory / "draft.md").write_text("draft\n")
    assert call(["checkpoint", "restore", "one"]) == 0
    assert (store.memory / "draft.md").read_text() == "draft\n"
    assert git(store, "status", "--porcelain") == "?? draft.md"


def test_uncommitted_work_equal_to_the_checkpoint_is_no_loss(store: Store) -> None:
    (store.memory / "notes.md").write_text("one\n")
    assert call(["checkpoint", "restore", "one"]) == 0


def test_a_file_that_a_person_deleted_simply_comes_back(store: Store) -> None:
    (store.memory / "tasks.md").unlink()
    assert call(["checkpoint", "restore", "one"]) == 0
    assert (store.memory / "tasks.md").exists()


@pytest.mark.parametrize(
    ("answer", "code", "text"), [("k\n", 0, "one\n"), ("D\n", 0, "one\n"), ("\n", 6, "unsaved\n"), ("", 6, "unsaved\n")]
)
def test_on_a_terminal_the_person_is_asked(
    store: Store, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, text: str
) -> None:
    edit(store)
    monkeypatch.setattr(command, "can_ask", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert call(["checkpoint", "restore", "one"]) == code
    assert notes(store) == text
    kept = [name for name in git(store, "tag").splitlines() if "before-restore" in name]
    assert len(kept) == (answer == "k\n")


def test_damaged_sessions_are_told_after_the_files_are_back(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.messages.write_bytes(store.messages.read_bytes().replace(b'"a"', b'"b"'))
    assert call(["checkpoint", "restore", "one"]) == 3
    assert "the files are restored, but the first 1 messages are not" in capsys.readouterr().err
    assert notes(store) == "one\n"


def test_an_unfinished_merge_is_not_stored_as_if_it_were_resolved(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    git(store, "checkout", "-q", "-b", "other", "checkpoint/one")
    edit(store)
    git(store, "commit", "-qam", "other")
    with pytest.raises(Exception, match="merge"):
        git(store, "merge", "main")
    assert call(["checkpoint", "create", "three"]) == 6
    assert "a merge is not finished: " in capsys.readouterr().err


def test_killed_at_any_call_of_git_a_second_run_ends_the_restore(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one = find_checkpoint(Memory(store), "one")
    original = Memory.git
    for number in range(1, 40):
        left = [number]

        def dying(self: Memory, *words: str, left: list[int] = left, **more: object) -> str:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return original(self, *words, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(Memory, "git", dying)
        code = in_child(lambda: restore_files(Memory(store), one))
        monkeypatch.setattr(Memory, "git", original)
        assert find_losses(Memory(store), one) == []
        restore_files(Memory(store), one)
        assert notes(store) == "one\n"
        assert git(store, "status", "--porcelain") == ""
        git(store, "reset", "-q", "--hard", "checkpoint/two")
        if code == 0:
            break
    assert number > 4
