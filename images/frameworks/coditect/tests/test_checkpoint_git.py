"""The memory is the same whatever git is told elsewhere: by a person's settings, by the environment, by a lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from checkpoint_stores import git, isolate

from coditect.cli import call
from coditect.errors import StoreError
from coditect.memory import Memory
from coditect.store import Store

ODD_SETTINGS = """
[commit]
    gpgSign = true
    template = /nonexistent
    verbose = true
[tag]
    gpgSign = true
[gpg]
    program = /bin/false
[core]
    autocrlf = true
    hooksPath = {hooks}
    excludesFile = {ignore}
    attributesFile = {attributes}
    editor = /bin/false
    pager = /bin/false
    quotePath = true
[filter "upper"]
    clean = tr a-z A-Z
    required = true
[init]
    templateDir = {template}
    defaultBranch = trunk
[color]
    ui = always
[diff]
    external = /bin/false
    noprefix = true
[status]
    showUntrackedFiles = no
[user]
    useConfigOnly = true
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    isolate(monkeypatch.setenv, monkeypatch.delenv, tmp_path)
    monkeypatch.setenv("CODITECT_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


def test_odd_settings_change_nothing_that_is_stored(store: Store, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("hooks", "template", "ignore", "attributes")}
    places["hooks"].mkdir()
    (places["template"] / "hooks").mkdir(parents=True)
    for hook in ("pre-commit", "post-commit", "reference-transaction", "post-checkout", "post-index-change"):
        for folder in (places["hooks"], places["template"] / "hooks"):
            (folder / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
            (folder / hook).chmod(0o755)
    places["ignore"].write_text("*.md\n")
    places["attributes"].write_text("* filter=upper\n")
    (tmp_path / "home" / ".gitconfig").write_text(ODD_SETTINGS.format(**places))
    store.memory.mkdir(parents=True)
    (store.memory / "notes.md").write_bytes(b"windows\r\nunix\n")
    (store.memory / "über.md").write_text("x")

    assert call(["checkpoint", "create", "one"]) == 0
    (store.memory / "notes.md").write_text("new\n")
    assert call(["checkpoint", "create", "two"]) == 0
    assert call(["checkpoint", "diff", "one", "two"]) == 0
    assert call(["checkpoint", "restore", "one"]) == 0
    assert (store.memory / "notes.md").read_bytes() == b"windows\r\nunix\n"
    assert (store.memory / "über.md").exists()
    assert not (tmp_path / "hook-ran").exists()
    assert Memory(store).git("symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_a_repository_named_by_the_environment_is_not_touched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of git, which sets these for all that it starts."""
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    before = sorted(path.name for path in (other / ".git").iterdir())
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    assert call(["checkpoint", "create", "one"]) == 0
    assert sorted(path.name for path in (other / ".git").iterdir()) == before
    assert (store.memory / ".git" / "refs" / "tags" / "checkpoint" / "one").exists()


def test_a_store_inside_another_repository_has_its_own(tmp_path: Path, store: Store) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert call(["checkpoint", "create", "one"]) == 0
    assert not (tmp_path / ".git" / "refs" / "tags" / "checkpoint").exists()


def author(store: Store) -> str:
    return git(store, "log", "-1", "--format=%an <%ae> %cn <%ce>")


def test_without_a_name_the_memory_signs_as_coditect(store: Store, tmp_path: Path) -> None:
    (tmp_path / "home" / ".gitconfig").write_text('[user]\n  useConfigOnly = true\n  name = ""\n')
    assert call(["checkpoint", "create", "one"]) == 0
    assert author(store) == "coditect <coditect@localhost> coditect <coditect@localhost>"


def test_the_name_of_the_person_counts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / ".gitconfig").write_text("[user]\n  name = Grace\n  email = g@example.org\n")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada")
    assert call(["checkpoint", "create", "one"]) == 0
    assert author(store) == "Ada <g@example.org> Grace <g@example.org>"


def test_a_locked_index_says_which_file_is_in_the_way(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call(["checkpoint", "create", "one"])
    (store.memory / "notes.md").write_text("x")
    lock = store.memory / ".git" / "index.lock"
    lock.touch()
    assert call(["checkpoint", "create", "two"]) == 3
    said = capsys.readouterr().err
    assert "the memory is locked by git" in said
    assert f"remove {lock}" in said
    lock.unlink()
    assert call(["checkpoint", "create", "two"]) == 0


def test_a_folder_that_cannot_be_made_is_a_store_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.root.mkdir()
    store.memory.write_text("a file")
    assert call(["checkpoint", "create", "one"]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_a_memory_that_cannot_be_locked_can_be_listed_but_not_written(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    call(["checkpoint", "create", "one"])
    lock = store.memory / ".git" / "coditect.lock"
    lock.unlink()
    lock.mkdir()  # modes would not stop root
    assert call(["checkpoint", "list"]) == 0
    assert call(["checkpoint", "create", "two"]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_without_git_the_error_says_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call(["checkpoint", "create", "one"]) == 5
    assert "install the package git" in capsys.readouterr().err


def test_commit_takes_just_these_paths_and_says_whether_anything_was_new(store: Store) -> None:
    memory = Memory(store)
    memory.ensure()
    page = store.memory / "knowledge" / "*.md"  # no pattern: a name
    page.parent.mkdir()
    page.write_text("a")
    (store.memory / "notes.md").write_text("edited")
    assert memory.commit("knowledge", [page.parent]) is True
    assert memory.commit("knowledge", [page.parent]) is False
    assert memory.commit("nothing", [store.memory / "absent.md"]) is False
    page.unlink()
    assert memory.commit("gone", [page, store.memory / "absent.md"]) is True
    assert git(store, "log", "--format=%s", "--name-only").split() == [
        "gone",
        "knowledge/*.md",
        "knowledge",
        "knowledge/*.md",
    ]


def test_two_runs_at_once_both_end_with_their_checkpoint(store: Store) -> None:
    Memory(store).ensure()
    script = "import sys; from coditect.cli import call; sys.exit(call(['checkpoint', 'create', sys.argv[1]]))"
    runs = [subprocess.Popen([sys.executable, "-c", script, f"n{number}"]) for number in range(4)]
    assert [run.wait() for run in runs] == [0, 0, 0, 0]
    assert git(store, "tag").split() == [f"checkpoint/n{number}" for number in range(4)]


def test_an_error_of_git_keeps_its_words(store: Store) -> None:
    Memory(store).ensure()
    with pytest.raises(StoreError, match="git show: fatal: bad object"):
        Memory(store).git("show", "0" * 39 + "1")
