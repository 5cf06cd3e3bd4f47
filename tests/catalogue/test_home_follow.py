"""home-follow: what is as an image put it into the home follows the image; what a person changed is theirs."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "images/rootfs/init/usr/lib/devbox/home-follow"
OLD = {".zshrc": "old", ".config/a/launcher": "old launcher", ".profile": "same"}
NEW = {".zshrc": "new", ".config/a/launcher": "new launcher", ".profile": "same", ".claude/hook": "came later"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    follow: types.ModuleType
    image: Path
    folder: Path

    def meet(self, shipped: Mapping[str, str]) -> int:
        """Start with an image that puts these files into a home; the exit code."""
        lines = []
        for name, text in sorted(shipped.items()):
            write(self.image / "files" / name, text)
            lines.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n")
        (self.image / "home.list").write_text("".join(lines))
        (self.image / "home.id").write_text(hashlib.sha256("".join(lines).encode()).hexdigest() + "\n")
        return int(self.follow.main())

    def files(self) -> dict[str, str]:
        found = {
            str(path.relative_to(self.folder)): path.read_text() for path in self.folder.rglob("*") if path.is_file()
        }
        return {name: text for name, text in found.items() if not name.startswith(".local/state")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One that has met the old image."""
    loader = importlib.machinery.SourceFileLoader("home_follow", str(SCRIPT))
    spec = importlib.util.spec_from_loader("home_follow", loader)
    assert spec is not None
    follow = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(follow)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(follow, "IMAGE", str(tmp_path / "image"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    found = Home(follow=follow, image=tmp_path / "image", folder=folder)
    assert found.meet(OLD) == 0
    assert found.files() == OLD
    return found


def test_what_nobody_changed_follows_the_image(home: Home) -> None:
    assert home.meet(NEW) == 0

    assert home.files() == NEW
    assert (home.folder / ".local/state/devbox/home.id").read_text() == (home.image / "home.id").read_text()


def test_what_was_changed_is_kept_and_the_new_default_lies_beside_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    write(home.folder / ".zshrc", "mine")
    write(home.folder / ".profile", "mine, and the default is what it was")
    (home.folder / ".zshrc").chmod(0o600)

    assert home.meet(NEW) == 0

    kept = {".zshrc": "mine", ".zshrc.devbox-new": "new", ".profile": "mine, and the default is what it was"}
    assert home.files() == {**NEW, **kept}
    assert (home.folder / ".zshrc.devbox-new").stat().st_mode & 0o777 == 0o600
    assert "~/.zshrc is yours and is kept; the new default is beside it: ~/.zshrc.devbox-new" in capsys.readouterr().out


def test_what_was_removed_stays_away(home: Home) -> None:
    (home.folder / ".zshrc").unlink()

    for _ in range(2):
        assert home.meet(NEW) == 0
        assert ".zshrc" not in home.files()


def test_what_the_image_has_no_more_goes_unless_it_was_changed(home: Home) -> None:
    write(home.folder / ".config/a/launcher", "mine")

    assert home.meet({".profile": "same"}) == 0

    assert home.files() == {".profile": "same", ".config/a/launcher": "mine"}


def test_a_home_that_was_half_made_gets_the_rest(home: Home) -> None:
    (home.folder / ".local/state/devbox/home.list").unlink()
    (home.folder / ".config/a/launcher").unlink()
    write(home.folder / ".zshrc", "")
    write(home.folder / ".profile", "sa")

    assert home.meet(OLD) == 0

    assert home.files() == {**OLD, ".profile": "sa", ".profile.devbox-new": "same"}


def test_a_link_in_the_place_of_a_file_is_never_written_through(home: Home) -> None:
    elsewhere = home.folder / "dotfiles"
    write(elsewhere, "old")
    (home.folder / ".zshrc").unlink()
    (home.folder / ".zshrc").symlink_to(elsewhere)

    assert home.meet(NEW) == 0

    assert elsewhere.read_text() == "old"
    assert (home.folder / ".zshrc").is_symlink()
    assert (home.folder / ".zshrc.devbox-new").read_text() == "new"


def test_what_fails_is_told_and_done_again_at_the_next_start(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write(home.folder / ".claude", "a file where a folder should be")

    assert home.meet(NEW) == 1
    assert "~/.claude/hook" in capsys.readouterr().out
    assert home.files()[".zshrc"] == "new"

    (home.folder / ".claude").unlink()
    assert home.meet(NEW) == 0
    assert home.files() == NEW


def test_nothing_half_written_is_left(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert home.meet(NEW) == 1
    assert home.files() == OLD


@pytest.mark.parametrize("text", ["", "no list at all\n", "00  short\n", "\0\0\0"])
def test_a_damaged_memory_costs_nothing_of_what_is_there(home: Home, text: str) -> None:
    write(home.folder / ".local/state/devbox/home.list", text)
    write(home.folder / ".zshrc", "mine")

    assert home.meet(NEW) == 0

    assert home.files()[".zshrc"] == "mine"
