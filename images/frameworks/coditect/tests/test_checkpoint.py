"""`coditect checkpoint`: create, list, show, diff."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from checkpoint_stores import git, in_child, isolate, message, write_messages
from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.checkpoints.checkpoint import check_name, create_checkpoint
from coditect.cli import call
from coditect.errors import UsageError
from coditect.memory import Memory
from coditect.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    isolate(monkeypatch.setenv, monkeypatch.delenv, tmp_path)
    monkeypatch.setenv("CODITECT_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


def read_json(capsys: pytest.CaptureFixture[str], *words: str) -> object:
    assert call([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_first_checkpoint_makes_files_to_start_from_and_a_tag(store: Store) -> None:
    assert call(["checkpoint", "create", "one", "-m", "the start"]) == 0
    assert {path.name for path in store.memory.iterdir()} == {
        ".git", "notes.md", "decisions.md", "tasks.md", "sessions.json"
    }  # fmt: skip
    assert git(store, "cat-file", "-t", "checkpoint/one") == "tag"
    assert git(store, "rev-parse", "checkpoint/one^{commit}") == git(store, "rev-parse", "main")
    assert git(store, "status", "--porcelain") == ""


def test_files_to_start_from_never_replace_what_a_person_wrote(store: Store) -> None:
    store.memory.mkdir(parents=True)
    (store.memory / "notes.md").write_text("mine\n")
    call(["checkpoint", "create", "one"])
    (store.memory / "tasks.md").unlink()
    call(["checkpoint", "create", "two"])
    assert (store.memory / "notes.md").read_text() == "mine\n"
    assert not (store.memory / "tasks.md").exists()


def test_the_default_name_says_when_and_two_in_one_second_differ(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        assert call(["checkpoint", "create"]) == 0
    capsys.readouterr()
    listed = read_json(capsys, "checkpoint", "list")
    assert isinstance(listed, list)
    assert len({one["name"] for one in listed}) == 3


def test_a_taken_name_is_refused_and_nothing_changes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call(["checkpoint", "create", "one"])
    before = git(store, "rev-parse", "main")
    (store.memory / "notes.md").write_text("new\n")
    assert call(["checkpoint", "create", "one"]) == 6
    assert "there is a checkpoint one already" in capsys.readouterr().err
    assert git(store, "rev-parse", "main", "checkpoint/one^{commit}").split() == [before, before]


@pytest.mark.parametrize("name", ["-x", "--force", "a b", "a/b", "..", "a..b", ".a", "a.", "a.lock", "", "@{", "a\n"])
def test_a_name_that_git_would_misread_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        check_name(name)


@settings(max_examples=60, deadline=None)
@given(st.text("aZ9.-_+é@~^:\\ /*[", max_size=8))
def test_git_takes_every_name_that_we_take(name: str) -> None:
    try:
        check_name(name)
    except UsageError:
        return
    subprocess.run(["git", "check-ref-format", f"refs/tags/checkpoint/{name}"], check=True)


def test_nothing_new_is_no_new_commit(store: Store) -> None:
    call(["checkpoint", "create", "one"])
    call(["checkpoint", "create", "two"])
    assert git(store, "rev-list", "--count", "main") == "1"
    assert git(store, "rev-parse", "checkpoint/one^{commit}") == git(store, "rev-parse", "checkpoint/two^{commit}")


def test_show_tells_message_files_and_pointers(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    write_messages(store, [message("a"), message("b", "s2")])
    call(["checkpoint", "create", "one", "-m", "# a title\n\nand more"])
    capsys.readouterr()
    shown = read_json(capsys, "checkpoint", "show", "one")
    assert isinstance(shown, dict)
    assert shown["message"] == "# a title\n\nand more"
    assert shown["files"] == ["decisions.md", "notes.md", "sessions.json", "tasks.md"]
    assert shown["pointers"]["messages"] == 2
    assert sorted(shown["pointers"]["sessions"]) == ["s1", "s2"]
    assert call(["checkpoint", "show", "one"]) == 0
    assert "2 messages in 2 sessions" in capsys.readouterr().out


def test_diff_shows_lines_and_counts_messages(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    write_messages(store, [message("a")])
    call(["checkpoint", "create", "one"])
    (store.memory / "notes.md").write_text("other\n")
    write_messages(store, [message("a"), message("b")])
    call(["checkpoint", "create", "two"])
    capsys.readouterr()
    assert call(["checkpoint", "diff", "one", "two"]) == 0
    said = capsys.readouterr()
    assert "+other" in said.out
    assert "sessions.json" not in said.out
    assert said.err == "sessions: 1 message more\n"


def test_diff_with_the_present_files_names_those_in_no_checkpoint(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    call(["checkpoint", "create", "one"])
    (store.memory / "tasks.md").unlink()
    (store.memory / "new.md").write_text("x")
    capsys.readouterr()
    assert call(["checkpoint", "diff", "one"]) == 0
    said = capsys.readouterr()
    assert "deleted file mode" in said.out
    assert "in no checkpoint yet: new.md" in said.err


def test_an_unknown_checkpoint_is_a_usage_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call(["checkpoint", "create", "one"])
    for action in ("show", "diff", "restore"):
        assert call(["checkpoint", action, "other"]) == 2
    assert "there is no checkpoint other" in capsys.readouterr().err


def test_list_of_a_store_without_memory_is_empty_and_makes_nothing(store: Store) -> None:
    assert call(["checkpoint", "list"]) == 0
    assert not store.root.exists()


def test_killed_at_any_call_of_git_a_create_is_there_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_messages(store, [message("a")])
    create_checkpoint(store, Memory(store), "before", "")
    original = Memory.git
    number, finished = 0, False
    while not finished:
        number += 1
        left = [number]

        def dying(self: Memory, *words: str, left: list[int] = left, **more: object) -> str:
            left[0] -= 1
            return original(self, *words, **more) if left[0] else _die()  # type: ignore[arg-type]

        (store.memory / "notes.md").write_text(f"state {number}\n")
        before = git(store, "rev-parse", "main")
        monkeypatch.setattr(Memory, "git", dying)
        name = f"n{number}"
        finished = in_child(lambda name=name: create_checkpoint(store, Memory(store), name, "")) == 0  # type: ignore[misc]
        monkeypatch.setattr(Memory, "git", original)
        names = git(store, "for-each-ref", "--format=%(refname:strip=3)", "refs/tags/checkpoint").split()
        moved = git(store, "rev-parse", "main") != before
        assert moved == (name in names)
        assert (store.memory / "notes.md").read_text() == f"state {number}\n"
    assert number > 5
    git(store, "fsck", "--strict")
    create_checkpoint(store, Memory(store), "after", "")


def _die() -> NoReturn:
    os._exit(9)
