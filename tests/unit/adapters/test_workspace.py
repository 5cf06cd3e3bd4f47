"""`.workstation/` holds what was rendered and nothing else of ours; one process at a time changes it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters.workspace import Workspace
from builder.errors import ConfigError, DevboxError, HostError, LockError
from builder.model import RenderedFile, State
from tests.unit.core.bad_cases import BadCase, read_cases

BAD_STATE = Path(__file__).parent / "data" / "bad-state.txt"

STATE = State(ports={"vnc": 5901, "ssh": 2223}, lock="l", fingerprint="f", plan="p", spec="s", token="t", alone=True)


def tree(**files: str) -> dict[str, RenderedFile]:
    return {name.replace("__", "/"): RenderedFile(data=text.encode()) for name, text in files.items()}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_reading_makes_nothing(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    assert space.read_config() is None
    assert space.load_state() == State()
    assert list(tmp_path.iterdir()) == []


def test_state_is_remembered(tmp_path: Path) -> None:
    Workspace(tmp_path).save_state(STATE)
    assert Workspace(tmp_path).load_state() == STATE
    assert (tmp_path / ".workstation/.gitignore").read_text() == "*\n"


def test_the_answers_of_an_older_devbox_are_ignored_since_the_lock_has_them_now(tmp_path: Path) -> None:
    Workspace(tmp_path).save_state(STATE)
    file = tmp_path / ".workstation/state.json"
    file.write_text(file.read_text().replace('"lock": "l"', '"answers": {"question": "q"}'))
    assert Workspace(tmp_path).load_state() == replace(STATE, lock="")


def test_a_lock_is_kept_as_it_was_written(tmp_path: Path) -> None:
    assert Workspace(tmp_path).load_lock() is None
    Workspace(tmp_path).save_lock(b"{}\n")
    assert Workspace(tmp_path).load_lock() == b"{}\n"
    assert names(tmp_path) == {"devbox-lock.json"}


@pytest.mark.parametrize("case", read_cases(BAD_STATE), ids=lambda case: case.name)
def test_state_that_is_not_ours_is_a_lock_error_with_a_hint(tmp_path: Path, case: BadCase) -> None:
    """Somebody's repository may bring a `.workstation/state.json`: it is held to the rules of devbox.yaml."""
    space = Workspace(tmp_path)
    space.save_state(STATE)
    file = tmp_path / ".workstation/state.json"
    file.write_bytes(case.text)
    with pytest.raises(LockError) as caught:
        space.load_state()
    assert caught.value.where == str(file)
    assert [finding.reason in caught.value.message for finding in case.expected] == [True]
    assert caught.value.hint


@pytest.mark.parametrize("name", ["state.json", "manifest.json", "lock"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    space = Workspace(tmp_path)
    space.save_state(STATE)
    (tmp_path / ".workstation" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / ".workstation" / name)

    def work() -> None:
        with space.lock("up"):
            space.load_state()
            space.write_tree({})

    with pytest.raises(HostError, match="no plain file"):
        work()


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_a_config_that_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "devbox.yaml"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="no plain file"):
        Workspace(tmp_path).read_config()


def test_a_second_tree_replaces_the_first_and_leaves_equal_files_alone(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    folder = tmp_path / ".workstation"
    space.write_tree(tree(Dockerfile="1", rootfs__a__b="2", gone__c="3"))
    before = (folder / "Dockerfile").stat()
    space.write_tree(tree(Dockerfile="1", rootfs__a__b="changed"))
    after = (folder / "Dockerfile").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert names(folder) == {".gitignore", "manifest.json", "Dockerfile", "rootfs/a/b"}
    assert (folder / "rootfs/a/b").read_text() == "changed"
    assert not (folder / "gone").exists()


def test_one_file_is_taken_away_unless_a_person_changed_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    tree = {name: RenderedFile(data=b"ours\n") for name in ("compose.yaml", "Dockerfile")}
    workspace.write_tree(tree)
    workspace.drop("compose.yaml")
    workspace.drop("compose.yaml")
    assert not (tmp_path / ".workstation/compose.yaml").exists()
    assert (tmp_path / ".workstation/Dockerfile").exists()
    workspace.write_tree(tree)
    (tmp_path / ".workstation/compose.yaml").write_bytes(b"theirs\n")
    workspace.drop("compose.yaml")
    assert (tmp_path / ".workstation/compose.yaml").read_bytes() == b"theirs\n"


def test_executable_files_stay_executable(tmp_path: Path) -> None:
    Workspace(tmp_path).write_tree({"run": RenderedFile(data=b"#!", executable=True)})
    assert (tmp_path / ".workstation/run").stat().st_mode & 0o777 == 0o755


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.write_tree(tree(a="1", b="2"))
    (tmp_path / ".workstation/mine").write_text("x")
    (tmp_path / ".workstation/b").write_text("changed by a person")
    space.write_tree(tree(a="1"))
    assert names(tmp_path / ".workstation") == {".gitignore", "manifest.json", "a", "b", "mine"}


@pytest.mark.parametrize("name", ["../out", "/abs", "lock", "state.json", "a/../../b"])
def test_names_that_lead_out_or_are_taken_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HostError):
        Workspace(tmp_path).write_tree({name: RenderedFile(data=b"")})


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    space = Workspace(tmp_path)
    space.write_tree(tree(a="1"))
    (tmp_path / ".workstation/rootfs").symlink_to(outside)
    with pytest.raises(HostError, match="behind a link"):
        space.write_tree(tree(rootfs__x="1"))
    assert list(outside.iterdir()) == []


def test_a_workspace_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".workstation").symlink_to("elsewhere")
    with pytest.raises(DevboxError, match="link"):
        Workspace(tmp_path).save_state(STATE)


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    with pytest.raises(HostError), space.lock("up"):
        raise HostError("x")
    with Workspace(tmp_path, stopped=lambda: True).lock("up"):
        pass
