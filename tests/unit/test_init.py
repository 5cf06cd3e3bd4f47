"""`devbox init` in a folder that has something in it: what is asked, what is written, what is left alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from builder.cli import app, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    made = tmp_path / "my-app"
    made.mkdir()
    (made / ".nvmrc").write_text("20.11.1\n")
    (made / "package.json").write_text('{"packageManager": "pnpm@9.1.0"}')
    return made


def devbox(folder: Path, *argv: str) -> int:
    return run(lambda: app(["-C", str(folder), *argv], prog_name="devbox", standalone_mode=False))


@pytest.mark.parametrize("options", [(), ("--yes",)])  # without a terminal nothing is asked
def test_init_takes_what_the_folder_says_and_writes_down_why(
    options: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert devbox(folder, "init", *options) == 0
    told = capsys.readouterr().err
    written = (folder / "devbox.yaml").read_text()
    assert "  # .nvmrc asks for node `20.11.1`, and the catalogue has 18.18.2, 20.18.0" in written
    assert '  node: "20"\n' in written
    assert '# pnpm@9.1.0 is the package manager of package.json.\nnpm: ["pnpm@9.1.0"]\n' in written
    assert "node 20.18.0 is taken" in told
    assert devbox(folder, "plan", "--assume") == 0


def test_init_asks_nothing_where_a_file_is_there_already(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "devbox.yaml").write_text("name: mine\n")
    assert answer(folder, "") == (2, "name: mine\n")


def test_init_reads_no_pipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "pyproject.toml")
    assert devbox(folder, "init") == 8
    assert "pyproject.toml: is no plain file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("\n\n\n\n", 'node: "20"\n'),
        ("no\nother\nheadless\ndebian-12\n", "name: other\nprofile: headless "),
        ("no\n\n\n\n", "# tools:\n"),
    ],
)
def test_in_a_terminal_init_asks_a_few_questions_with_defaults(typed: str, part: str, folder: Path) -> None:
    code, written = answer(folder, typed)
    assert code == 0
    assert part in written


def answer(folder: Path, typed: str) -> tuple[int, str]:
    """Type the answers into `devbox init` in a terminal; its exit code, and what devbox.yaml holds then."""
    ours, theirs = pty.openpty()
    try:
        argv = [sys.executable, "-m", "builder", "-C", str(folder), "init"]
        process = subprocess.Popen(argv, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.write(ours, typed.encode())
        code = process.wait(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    return code, (folder / "devbox.yaml").read_text()
