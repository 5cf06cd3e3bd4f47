"""`devbox devcontainer`: what it writes over, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cli import app, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    made = tmp_path / "my-app"
    (made / ".devcontainer").mkdir(parents=True)
    return made


def devcontainer(folder: Path, *argv: str) -> int:
    words = ["-C", str(folder), "devcontainer", *argv]
    return run(lambda: app(words, prog_name="devbox", standalone_mode=False))


def test_its_own_file_is_written_anew(folder: Path) -> None:
    file = folder / ".devcontainer/devcontainer.json"
    assert devcontainer(folder) == 0
    assert '"name": "my-app"' in file.read_text()
    (folder / "devbox.yaml").write_text("name: other\n")
    assert devcontainer(folder) == 0
    assert '"name": "other"' in file.read_text()


def test_a_file_of_somebody_else_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / ".devcontainer/devcontainer.json"
    file.write_text('{"image": "debian"}\n')
    assert devcontainer(folder) == 2
    assert "--output .devcontainer/devbox/devcontainer.json" in capsys.readouterr().err
    assert file.read_text() == '{"image": "debian"}\n'
    assert devcontainer(folder, "--output", ".devcontainer/devbox/devcontainer.json") == 0
    assert '"../../.workstation/compose.yaml"' in (folder / ".devcontainer/devbox/devcontainer.json").read_text()
    assert devcontainer(folder, "--force") == 0
    assert "devbox devcontainer" in file.read_text()


@pytest.mark.parametrize("place", ["../devcontainer.json", "/tmp/devcontainer.json"])
def test_nothing_is_written_outside_the_folder(place: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert devcontainer(folder, "--output", place) == 2
    assert "lies outside this folder" in capsys.readouterr().err


def test_nothing_is_written_behind_a_link_that_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / ".devcontainer").rmdir()
    (folder / ".devcontainer").symlink_to(tmp_path / "elsewhere")
    assert devcontainer(folder) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []
