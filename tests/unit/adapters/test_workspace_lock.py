"""One at a time, who says what it does; and what a killed one was at is told to the next."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from builder.adapters.files import PART
from builder.adapters.holder import Holder, dump_holder, find_unfinished, parse_holder, this_holder
from builder.adapters.workspace import Workspace
from builder.errors import DevboxError, HostError, Interrupted
from builder.wiring import make_context

SPAWN = multiprocessing.get_context("spawn")
LOCK = Path(".workstation/lock")


def _hold(folder: str, act: str, held: Event) -> None:
    space = Workspace(Path(folder))
    with space.lock("up"):
        space.intend("looking")
        space.intend(act)
        held.set()
        SPAWN.Event().wait(60)


def start_holder(folder: Path, act: str = "building the image") -> multiprocessing.process.BaseProcess:
    held = SPAWN.Event()
    process = SPAWN.Process(target=_hold, args=(str(folder), act, held), daemon=True)
    process.start()
    assert held.wait(20)
    return process


def kill(process: multiprocessing.process.BaseProcess) -> None:
    process.kill()
    process.join()


def test_a_second_one_waits_and_says_for_whom_since_when_and_what_that_one_does(tmp_path: Path) -> None:
    first = start_holder(tmp_path)
    said: list[Holder | None] = []

    def on_wait(holder: Holder | None) -> None:
        said.append(holder)
        kill(first)

    with Workspace(tmp_path, on_wait=on_wait).lock("down"):
        pass
    (holder,) = said
    assert holder is not None
    at = time.strftime("%H:%M:%S", time.localtime(holder.since))
    who = f"process {first.pid} of {holder.user} on {socket.gethostname()}"
    assert str(holder) == f"`devbox up` ({who}, since {at}, building the image)"
    assert abs(holder.since - time.time()) < 60


def test_one_who_was_killed_is_told_to_the_next_one_with_its_act_and_only_once(tmp_path: Path) -> None:
    kill(start_holder(tmp_path, "making the container"))
    left: list[Holder] = []
    space = Workspace(tmp_path, on_left=left.append)
    assert space.find_unfinished() == left_words(tmp_path)
    with space.lock("down") as killed:
        assert killed
        assert space.find_unfinished() == ""
    at = time.strftime("%H:%M:%S", time.localtime(left[0].since))
    ended = f"the last `devbox up` (of {left[0].user}, at {at}) was killed while making the container"
    assert [holder.describe_end() for holder in left] == [ended]
    with space.lock("up") as killed:
        assert not killed
    assert len(left) == 1
    assert space.find_unfinished() == ""


def left_words(folder: Path) -> str:
    holder = parse_holder((folder / LOCK).read_bytes())
    assert holder is not None
    return holder.describe_end()


def test_one_who_ended_with_an_error_has_told_it_itself(tmp_path: Path) -> None:
    space = Workspace(tmp_path)

    def fail() -> None:
        with space.lock("up"):
            space.intend("building the image")
            raise HostError("x")

    with pytest.raises(HostError):
        fail()
    assert (tmp_path / LOCK).read_bytes() == b""
    with space.lock("up") as killed:
        assert not killed


def test_who_is_at_work_is_not_taken_for_killed(tmp_path: Path) -> None:
    first = start_holder(tmp_path)
    assert Workspace(tmp_path).find_unfinished() == ""
    kill(first)
    assert "building the image" in Workspace(tmp_path).find_unfinished()


def test_half_written_files_of_a_killed_one_are_taken_away_and_nobody_elses(tmp_path: Path) -> None:
    kill(start_holder(tmp_path))
    folder = tmp_path / ".workstation"
    (folder / "rootfs").mkdir()
    for name in (f".state.json.abc{PART}", f"rootfs/.init.abc{PART}", "mine", f"rootfs/mine{PART}"):
        (folder / name).touch()
    with Workspace(tmp_path).lock("up"):
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {".gitignore", "lock", "mine", f"rootfs/mine{PART}"}


def test_an_act_of_nobody_is_no_plan(tmp_path: Path) -> None:
    Workspace(tmp_path).intend("building the image")
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_read_whatever_stood_there_before() -> None:
    """Killed between the write and the cut, a longer text from before stands behind."""
    holder = replace(this_holder("up"), doing="x")
    assert parse_holder(dump_holder(holder)) == holder
    assert parse_holder(dump_holder(holder) + b'ng the image"}') == holder
    assert parse_holder(dump_holder(holder)[:-4]) is None
    assert parse_holder(b"") is None


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b"{}",
        b"\xff",
        b'{"pid": "x", "since": 1}',
        b'{"pid": 1, "since": 1e999}',
        b"[" * 5000,
    ],
)
def test_a_lock_that_says_nonsense_is_nobodys(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".workstation").mkdir()
    (tmp_path / LOCK).write_bytes(data)
    with Workspace(tmp_path).lock("up") as killed:
        assert not killed


def test_a_lock_of_somebody_elses_making_draws_nothing_on_the_terminal() -> None:
    holder = parse_holder(b'{"pid": 1, "since": 1, "verb": "up\\u001b[2J\\n", "user": "' + b"u" * 900 + b'"}')
    assert holder is not None
    assert holder.describe_end().isprintable()
    assert len(holder.describe_end()) < 400


def test_a_lock_whose_process_cannot_be_known_is_not_called_killed(tmp_path: Path) -> None:
    (tmp_path / ".workstation").mkdir()
    (tmp_path / LOCK).write_bytes(dump_holder(replace(this_holder("up"), process="another-boot/pid:[1] 7 7")))
    assert find_unfinished(tmp_path / LOCK) is None


# ---------------------------------------------------------------------------------------- what is in the way

IN_THE_WAY: dict[str, Callable[[Path], None]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("elsewhere"),
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_a_lock_that_is_no_file_is_told_with_the_command_that_helps(tmp_path: Path, kind: str) -> None:
    space = Workspace(tmp_path)
    with space.lock("up"):
        pass
    (tmp_path / LOCK).unlink()
    IN_THE_WAY[kind](tmp_path / LOCK)
    with pytest.raises(HostError, match="no plain file, and cannot be locked") as caught, space.lock("up"):
        pass
    assert caught.value.hint == f"remove it: `rm -r {tmp_path / LOCK}`"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_where_the_folder_has_to_be_is_told(tmp_path: Path) -> None:
    (tmp_path / ".workstation").touch()
    with pytest.raises(HostError, match="cannot make this") as caught, Workspace(tmp_path).lock("up"):
        pass
    assert caught.value.hint == "a file is in the way where a folder has to be: move it away"


def _as_nobody(folder: str, said: multiprocessing.Queue[str]) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        with Workspace(Path(folder)).lock("up"):
            said.put("locked")
    except DevboxError as error:
        said.put(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_workspace_of_another_user_is_told_with_whose_it_is_and_how_to_take_it() -> None:
    with tempfile.TemporaryDirectory() as name:  # not below pytest's own, into which nobody else may look
        folder = Path(name)
        folder.chmod(0o755)
        with Workspace(folder).lock("up"):
            pass
        said: multiprocessing.Queue[str] = SPAWN.Queue()
        process = SPAWN.Process(target=_as_nobody, args=(name, said), daemon=True)
        process.start()
        text = said.get(timeout=20)
        process.join()
    assert "belongs to user id 0, and you are 65534" in text
    assert f"hint: work as that user, or take it over: `sudo chown -R 65534 {folder / '.workstation'}`" in text


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    with Workspace(tmp_path).lock("up"):
        second = Workspace(tmp_path, stopped=lambda: True)
        with pytest.raises(Interrupted), second.lock("down"):
            pass


def test_whatever_comes_after_one_that_was_killed_takes_away_half_made_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "work"
    folder.mkdir()
    context = make_context(folder, lambda event: None, {})
    half = Path(context.keys.ensure("demo", folder, ()).folder) / f".vnc-password.abc{PART}"
    half.touch()
    with context.workspace.lock("stop"):
        assert half.exists()
    kill(start_holder(folder))
    with context.workspace.lock("stop"):
        assert not half.exists()
