"""The person's name for Git is read as Git reads it, and written so that Git reads the same again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.adapters.gitidentity import find_git_identity, render_git_identity
from builder.adapters.keys import KeyStore

NAME = 'Ada "the first" \\ Lovelace; #1'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_name_and_address_come_from_an_included_file_and_nothing_else_does(home: Path) -> None:
    (home / ".gitconfig").write_text(
        "[include]\n path = more\n[user]\n name = Ada\n signingkey = K\n[http]\n x = geheim\n"
    )
    (home / "more").write_text("[user]\n email = ada@example.org\n")
    assert find_git_identity() == {"user.name": "Ada", "user.email": "ada@example.org"}


def test_nobody_without_settings_or_without_git(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_git_identity() == {}
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_git_identity() == {}


def test_git_reads_what_was_written(home: Path) -> None:
    (home / "written").write_text(render_git_identity({"user.name": NAME, "user.email": "a@b"}))
    for key, value in (("user.name", NAME), ("user.email", "a@b")):
        done = subprocess.run(
            ["git", "config", "--file", home / "written", key], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{value}\n"


def test_the_container_sees_the_identity_as_long_as_there_is_one(tmp_path: Path) -> None:
    known = {"user.name": "Ada"}
    store = KeyStore(tmp_path / "state", tmp_path, identity=lambda: known)
    file = Path(store.ensure("demo", tmp_path, ()).folder) / "gitconfig"
    assert 'name = "Ada"' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    known.clear()
    store.ensure("demo", tmp_path, ())
    assert not file.exists()
