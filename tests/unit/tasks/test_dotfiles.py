"""Dotfiles: once for a home, and no failure of theirs is one of the workstation."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from builder.adapters.dotfiles import pack_dotfiles
from builder.errors import HostError
from builder.model import Dotfiles, ExecResult, Note
from builder.tasks.dotfiles import INSTALL, LOOK, UNPACK, bring_dotfiles
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import FakeEngine, World


class HomeEngine(FakeEngine):
    """Runs our scripts here, in a home of their own, as they run inside."""

    def __init__(self, home: Path) -> None:
        super().__init__(pullable=("debian:12-slim",))
        self.home = home

    def run(
        self, container: str, argv: Sequence[str], *, user: str = "", stdin: bytes = b"", timeout_s: float | None = None
    ) -> ExecResult:
        if argv[4:5] != ["dotfiles"]:
            return super().run(container, argv, user=user, stdin=stdin)
        done = subprocess.run(
            argv[1:],
            input=stdin,
            capture_output=True,
            check=False,
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin"},
        )
        return ExecResult(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture
def world(tmp_path: Path) -> World:
    home = tmp_path / "home"
    home.mkdir()
    return World(config="base: debian-12\ndotfiles: ./dot", engine=HomeEngine(home))


def make_folder(folder: Path, **files: str) -> Dotfiles:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Dotfiles(git=None, path=str(folder), timeout_s=30)


def up(world: World) -> str:
    world.events.clear()
    bring_up(world.context(), fingerprint="f")
    return "\n".join(event.text for event in world.told(Note) if event.level == "warning")


def test_each_file_is_linked_and_what_was_there_is_kept(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".zshrc").write_text("of the image")
    (home / ".config").mkdir()
    wanted = make_folder(tmp_path / "dot", _zshrc="mine", _config__tool__x="1", README_md="words", _gitignore="*")
    world.sources.dotfiles = pack_dotfiles(wanted, tmp_path)
    assert up(world) == ""
    assert (home / ".zshrc").read_text() == "mine"
    assert (home / ".zshrc.before-dotfiles").read_text() == "of the image"
    assert (home / ".config/tool/x").is_symlink()
    assert not (home / ".config").is_symlink()
    assert not (home / "README.md").exists()
    assert not (home / ".gitignore").exists()


def test_they_come_once(world: World, tmp_path: Path) -> None:
    world.sources.dotfiles = pack_dotfiles(make_folder(tmp_path / "dot", _a="1"), tmp_path)
    up(world)
    (tmp_path / "home/.a").unlink()  # a person's own wish
    up(world)
    assert world.sources.asked.count("/home/me/my-app/dot") == 1
    assert not (tmp_path / "home/.a").exists()


def test_their_script_is_run_in_place_of_links_and_again_where_it_failed(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = 'echo why it failed\ntest -e "$HOME/ready" && cp .a "$HOME/copied"'
    world.sources.dotfiles = pack_dotfiles(make_folder(tmp_path / "dot", _a="1", install_sh=script), tmp_path)
    assert "they ended with exit code 1: why it failed" in up(world)
    (home / "ready").touch()
    assert up(world) == ""
    assert (home / "copied").read_text() == "1"
    assert not (home / ".a").exists()


def test_what_was_cut_off_at_the_end_of_unpacking_goes_on(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    world.sources.dotfiles = pack_dotfiles(make_folder(tmp_path / "dot", _a="1"), tmp_path)
    up(world)
    (home / ".dotfiles").rename(home / ".dotfiles.new")
    (home / ".local/state/devbox/dotfiles").write_text("unpacked\n")
    assert up(world) == ""
    assert (home / ".a").read_text() == "1"


def test_a_folder_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "film").open("wb").truncate(1 << 40)
    with pytest.raises(HostError, match="holds more than 64 MB"):
        pack_dotfiles(Dotfiles(git=None, path=str(tmp_path), timeout_s=30), tmp_path)


def test_what_cannot_be_fetched_is_a_warning_with_its_reason(world: World) -> None:
    world.sources.dotfiles = HostError("git cannot read this", where="https://x", hint="does it work here?")
    assert "the dotfiles are not there: https://x: git cannot read this" in up(world)
    assert world.workspace.state.fingerprint == "f"


def test_offline_no_server_is_asked(world: World) -> None:
    context = world.context()
    wanted = Dotfiles(git="https://git.example/me/dot", path=None, timeout_s=1)
    bring_dotfiles(context, "x", wanted, offline=True)
    assert world.sources.asked == []
    assert "--offline uses no network" in world.told(Note)[-1].text


def test_somebody_elses_folder_is_left_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "home/.dotfiles").mkdir()
    world.sources.dotfiles = pack_dotfiles(make_folder(tmp_path / "dot", _a="1"), tmp_path)
    assert "there is a ~/.dotfiles already" in up(world)


def test_a_bare_repository_is_cloned_and_a_missing_one_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    packed = pack_dotfiles(Dotfiles(git=None, path=str(tmp_path / "bare"), timeout_s=30), scratch)
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        assert ".git/HEAD" in tar.getnames()
    with pytest.raises(HostError, match="there is no such folder"):
        pack_dotfiles(Dotfiles(git=None, path=str(tmp_path / "none"), timeout_s=30), scratch)
    with pytest.raises(HostError, match="git cannot read this"):
        pack_dotfiles(Dotfiles(git=f"file://{tmp_path}/none", path=None, timeout_s=30), tmp_path)


def test_the_scripts_are_plain_shell() -> None:
    for script in (LOOK, UNPACK, INSTALL):
        assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
