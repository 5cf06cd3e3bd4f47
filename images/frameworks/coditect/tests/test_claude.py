"""`coditect claude`: what is put into the folder of Claude Code, what is left alone, and what the hook does."""

from __future__ import annotations

import copy
import fcntl
import json
import os
import select
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkpoint_stores import isolate
from hypothesis import given
from hypothesis import strategies as st

from coditect.claude.files import parse_settings
from coditect.claude.hooks import COMMAND, EVENTS, HOOK, add_hooks, remove_hooks, tell_hooks
from coditect.claude.slash_command import is_ours, make_command
from coditect.cli import call
from coditect.errors import UsageError

THEIRS = {
    "$schema": "theirs",
    "model": "opus",
    "hooks": {
        "Stop": [{"hooks": [{"type": "command", "command": "say done"}]}],
        "SessionEnd": [{"matcher": "clear", "hooks": [{"type": "command", "command": "echo ü"}]}],
    },
    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch.setenv, monkeypatch.delenv, tmp_path)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    return tmp_path / "claude"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_installed_into_nothing_and_removed_nothing_is_left_but_empty_settings(folder: Path) -> None:
    assert call(["claude", "install"]) == 0
    assert sorted(snapshot(folder)) == ["commands/cxq.md", "settings.json"]
    settings = json.loads((folder / "settings.json").read_text())
    assert settings == {"hooks": {event: [{"hooks": [HOOK]}] for event in EVENTS}}
    assert call(["claude", "install", "--remove"]) == 0
    assert snapshot(folder) == {"settings.json": b"{}\n"}


def test_settings_of_the_user_stay_in_order_and_form(folder: Path) -> None:
    folder.mkdir()
    before = json.dumps(THEIRS, indent="\t", ensure_ascii=False)
    (folder / "settings.json").write_text(before)
    (folder / "settings.json").chmod(0o640)
    assert call(["claude", "install"]) == 0
    after = json.loads((folder / "settings.json").read_text())
    assert list(after) == list(THEIRS)
    assert after["hooks"]["SessionEnd"][0] == THEIRS["hooks"]["SessionEnd"][0]  # type: ignore[index]
    assert after["hooks"]["SessionEnd"][1] == {"hooks": [HOOK]}
    assert stat.S_IMODE((folder / "settings.json").stat().st_mode) == 0o640
    assert call(["claude", "install", "--remove"]) == 0
    assert (folder / "settings.json").read_text() == before


def test_a_second_install_writes_nothing(folder: Path) -> None:
    call(["claude", "install"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert call(["claude", "install"]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_link_to_settings_elsewhere_stays_a_link(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "dotfiles.json").write_text("{}")
    (folder / "settings.json").symlink_to(tmp_path / "dotfiles.json")
    assert call(["claude", "install"]) == 0
    assert (folder / "settings.json").is_symlink()
    assert COMMAND in (tmp_path / "dotfiles.json").read_text()


@pytest.mark.parametrize(
    "text",
    ['{"a": 1,}', "[]", "// a comment\n{}", '{"hooks": []}', '{"hooks": {"SessionEnd": {}}}', '{"a": 1, "a": 2}'],
)
def test_settings_that_we_cannot_write_again_without_loss_stop_everything(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "settings.json").write_text(text)
    for words in ([], ["--remove"], ["--check"]):
        assert call(["claude", "install", *words]) == 2
    assert snapshot(folder) == {"settings.json": text.encode()}


def test_a_command_that_the_user_changed_is_theirs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(["claude", "install"])
    command = folder / "commands" / "cxq.md"
    command.write_text(command.read_text().replace("three times", "ten times"))
    changed = command.read_text()
    for words in ([], ["--remove"]):
        assert call(["claude", "install", *words]) == 0
        assert "because you changed it" in capsys.readouterr().err
    assert command.read_text() == changed


def test_a_command_of_an_earlier_coditect_is_brought_up_to_date(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coditect.claude.slash_command._BODY", "---\ndescription: old\n---\nold\n")
    call(["claude", "install"])
    monkeypatch.undo()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    assert call(["claude", "install", "--check"]) == 1
    assert call(["claude", "install"]) == 0
    assert (folder / "commands" / "cxq.md").read_text() == make_command()


def test_check_changes_nothing_and_names_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["claude", "install", "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "command /cxq: missing", "hook SessionEnd: missing", "hook PreCompact: missing"
    ]  # fmt: skip
    assert not folder.exists()
    call(["claude", "install"])
    assert call(["claude", "install", "--check"]) == 0


def test_a_hook_that_the_user_changed_is_left_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(["claude", "install"])
    settings = json.loads((folder / "settings.json").read_text())
    settings["hooks"]["PreCompact"][0]["hooks"][0]["timeout"] = 99
    (folder / "settings.json").write_text(json.dumps(settings))
    before = snapshot(folder)
    assert call(["claude", "install"]) == 0
    assert snapshot(folder) == before
    capsys.readouterr()
    assert call(["claude", "status", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert (parts["hook PreCompact"], parts["hook SessionEnd"]) == ("changed", "installed")
    assert call(["claude", "install", "--remove"]) == 0
    assert json.loads((folder / "settings.json").read_text())["hooks"] == {
        "PreCompact": settings["hooks"]["PreCompact"]
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
GROUPS = st.lists(
    st.fixed_dictionaries({"hooks": st.lists(JSON, max_size=3)}, optional={"matcher": st.text(max_size=3)}) | JSON,
    max_size=3,
)
SETTINGS = st.fixed_dictionaries(
    {"model": JSON}, optional={"hooks": st.dictionaries(st.sampled_from([*EVENTS, "Stop"]), GROUPS, min_size=1)}
)


@given(SETTINGS)
def test_nothing_of_the_users_settings_is_ever_lost(settings: dict[str, Any]) -> None:
    untouched = copy.deepcopy(settings)
    added = add_hooks(settings, "")
    assert settings == untouched
    assert set(tell_hooks(added, "").values()) == {"installed"}
    assert add_hooks(added, "") == added
    removed = remove_hooks(added, "")
    for event in EVENTS:  # an empty list of groups is as good as none
        if not settings.get("hooks", {}).get(event, True):
            settings["hooks"].pop(event)
    assert {**removed, "hooks": removed.get("hooks") or {}} == {**settings, "hooks": settings.get("hooks") or {}}


@given(st.text(max_size=30), st.integers(0, 2000))
def test_any_change_of_the_command_is_noticed(more: str, place: int) -> None:
    text = make_command()
    changed = text[:place] + more + text[place:]
    assert is_ours(text)
    assert is_ours(changed) == (changed == text or changed.rstrip("\n") == text.rstrip("\n"))


def test_the_command_has_the_head_that_claude_code_reads(folder: Path) -> None:
    _, head, body = make_command().split("---\n", 2)
    assert yaml.safe_load(head).keys() == {"description", "argument-hint", "allowed-tools"}
    assert yaml.safe_load(head)["allowed-tools"] == "Bash(cxq:*)"
    assert body.count("$ARGUMENTS") == 1
    # Claude Code would put the words of the user into such a line unquoted, and run it.
    assert "!`" not in body


def test_parse_settings_reads_an_empty_file_as_no_settings() -> None:
    assert parse_settings(" \n", Path("x")) == {}
    with pytest.raises(UsageError):
        parse_settings("null", Path("x"))


def test_the_hook_returns_while_the_ingest_goes_on_in_a_session_of_its_own(folder: Path, tmp_path: Path) -> None:
    """The ingest is held by a lock, for the child to be seen at work; it ends when the lock is let go."""
    store = tmp_path / "store"
    package = tmp_path / "scripted" / "coditect"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import fcntl, json, os, sys\n"
        f"report = open({str(tmp_path / 'report')!r}, 'w')\n"
        f"fcntl.flock(open({str(tmp_path / 'held')!r}), fcntl.LOCK_EX)\n"
        "json.dump([os.getsid(0), os.getpid(), sys.argv[1:]], report)\n"
        "print('complaint', file=sys.stderr)\n"
    )
    script = "import sys; from coditect.claude.command import run, add_arguments; import argparse, os\n"
    script += "parser = argparse.ArgumentParser(); add_arguments(parser)\n"
    script += f"os.environ['PYTHONPATH'] = {str(package.parent)!r}\n"
    script += f"sys.exit(run(parser.parse_args(['hook', '--store', {str(store)!r}])))\n"
    os.mkfifo(tmp_path / "report")
    pipe = os.open(tmp_path / "report", os.O_RDONLY | os.O_NONBLOCK)
    with (tmp_path / "held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-c", script], check=False, input=b"{}", capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        fcntl.flock(held, fcntl.LOCK_UN)
        assert select.select([pipe], [], [], 60)[0], "no ingest was started"
        session, process, words = json.loads(os.read(pipe, 65536))
    os.close(pipe)
    assert session == process
    assert words == ["sessions", "ingest", "--quiet", "--store", str(store)]


@pytest.mark.parametrize("installed", [True, False])
def test_the_line_in_the_settings_never_fails_and_says_nothing(tmp_path: Path, installed: bool) -> None:
    if installed:
        (tmp_path / "coditect").write_text("#!/bin/sh\necho talk; echo talk >&2; exit 3\n")
        (tmp_path / "coditect").chmod(0o755)
    shell = shutil.which("sh") or "/bin/sh"
    done = subprocess.run([shell, "-c", COMMAND], env={"PATH": str(tmp_path)}, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_status_shows_the_last_complaint_of_the_hook(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "coditect").mkdir(parents=True)
    (tmp_path / "data" / "coditect" / "hook.log").write_text("error: the disk is full\n")
    assert call(["claude", "status"]) == 0
    assert "error: the disk is full" in capsys.readouterr().out
