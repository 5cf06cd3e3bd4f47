"""`devbox cp`: what is asked of the workstation and of this machine, and what is told when it fails."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builder.core.copying import Kind, Landing, Look, parse_ends
from builder.errors import ConfigError, EngineError, HostError
from builder.model import ExecResult
from builder.tasks.copying import BROKE_OFF, END, IN, LAST_WORD, PAST, Copied, Outside, copy
from tests.unit.tasks.fakes import FakeEngine, World, make_container

FOLDER = (("stdout", b"folder\nfolder\n"), ("exit", b"0"))
FILE = (("stdout", b"file\nfolder\n7\n"), ("exit", b"0"))
MISSING = (("stdout", b"missing\nfolder\n"), ("exit", b"0"))


@dataclass
class Here:
    """This machine's files: a folder `dir` and a file `a`."""

    landed: list[tuple[bytes, Landing, bool]] = field(default_factory=list)
    written: bytes = b""

    def look(self, path: str, *, measured: bool = False) -> Look:
        kind = {"dir": Kind.FOLDER, ".": Kind.FOLDER, "a": Kind.FILE}.get(path, Kind.MISSING)
        return Look(kind=kind, parent=Kind.FOLDER, size=3 if measured else 0)

    def unpack(self, chunks: Iterator[bytes], landing: Landing, *, contents: bool) -> None:
        self.landed.append((next(chunks), landing, contents))  # a tar ends before what follows it

    def write(self, chunk: bytes) -> None:
        self.written += chunk

    def outside(self) -> Outside:
        return Outside(
            look=self.look, pack=lambda path, name: iter([f"{path} as {name}".encode(), END]), unpack=self.unpack,
            read=lambda: iter([b"a tar", END]), write=self.write,
        )  # fmt: skip


def run(engine: FakeEngine, here: Here, source: str, target: str) -> Copied:
    engine.containers["my-app"] = make_container()
    return copy(World(engine=engine).context(), "my-app", "dev", parse_ends(source, target), here.outside())


def test_what_goes_in_is_unpacked_by_the_user_below_the_home() -> None:
    engine = FakeEngine(frames=[FOLDER])
    copied = run(engine, Here(), "a", ":projects")
    assert copied == Copied(source="a", target=":projects/a", bytes=6 + len(END))
    assert engine.commands[0] == "dev /home/dev cp projects "
    assert engine.commands[1].startswith(f"dev /home/dev sh -c {IN}")
    assert engine.commands[1].replace("\0", "").endswith("cp projects < a as awhole")


def test_a_tar_goes_in_as_it_is() -> None:
    engine = FakeEngine(frames=[FOLDER])
    assert run(engine, Here(), "-", ":/tmp").target == ":/tmp"
    assert engine.commands[1].replace("\0", "").endswith("cp /tmp < a tarwhole")


def test_a_tar_that_is_cut_off_has_no_last_word() -> None:
    engine, here = FakeEngine(frames=[FOLDER]), Here()
    copy_from = replace(here.outside(), read=lambda: iter([b"a tar", END[1:]]))
    engine.containers["my-app"] = make_container()
    copy(World(engine=engine).context(), "my-app", "dev", parse_ends("-", ":"), copy_from)
    assert "whole" not in engine.commands[1].partition(" < ")[2]


@pytest.mark.parametrize(("part", "code"), [(slice(None), 0), (slice(512), 1), (slice(700), 2), (slice(0), 2)])
def test_only_what_came_with_the_last_word_came_whole(part: slice, code: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo("file")
    info.size = 512
    stream = (info.tobuf() + bytes(range(256)) * 2 + END + PAST + LAST_WORD.encode())[part]
    if part == slice(512):  # between two members
        stream = tarfile.TarInfo("empty").tobuf()
    done = subprocess.run(["sh", "-c", IN, "cp", tmp_path], input=stream, capture_output=True, check=False)
    assert (done.returncode, BROKE_OFF.encode() in done.stderr) == (code, code == 1)


def test_what_comes_out_lands_where_cp_would_put_it() -> None:
    engine, here = FakeEngine(frames=[FILE, (("stdout", b"tar"), ("stdout", END), ("exit", b"0"))]), Here()
    assert run(engine, here, ":notes", "dir").target == "dir/notes"
    assert here.landed == [(b"tar", Landing(folder="dir", name="notes"), False)]
    assert engine.commands == ["dev /home/dev cp notes measured", "dev /home/dev cp notes "]


def test_what_comes_out_to_a_pipe_is_the_tar_itself() -> None:
    here = Here()
    run(FakeEngine(frames=[FOLDER, (("stdout", b"a"), ("stdout", END), ("exit", b"0"))]), here, ":.", "-")
    assert (here.written, here.landed) == (b"a" + END, [])


def test_what_is_not_there_is_told_before_anything_moves() -> None:
    with pytest.raises(ConfigError, match="no such file or folder in the workstation"):
        run(FakeEngine(frames=[MISSING]), Here(), ":notes", "dir")
    engine = FakeEngine()
    with pytest.raises(HostError, match="there is no such file or folder"):
        run(engine, Here(), "none", ":")
    assert engine.commands == []


def test_a_failure_inside_is_told_even_where_the_tar_was_whole() -> None:
    failed = (("stdout", b"tar"), ("stderr", b"tar: x: Permission denied"), ("exit", b"2"))
    with pytest.raises(EngineError, match="it is not copied wholly: tar ended with 2") as told:
        run(FakeEngine(frames=[FOLDER, failed]), Here(), ":dir", "dir")
    assert told.value.detail == "tar: x: Permission denied"


def test_what_stops_between_two_members_is_no_whole_copy() -> None:
    stopped = (("stdout", b"tar"), ("stdout", END[1:]), ("exit", b"0"))
    with pytest.raises(EngineError, match="not copied wholly") as told:
        run(FakeEngine(frames=[FOLDER, stopped]), Here(), ":dir", "-")
    assert told.value.hint == "run the same command again"


@pytest.mark.parametrize("told", [b"", b"fol", b"folder\nfol"])
def test_an_answer_that_broke_off_is_told(told: bytes) -> None:
    with pytest.raises(EngineError, match="broke off"):
        run(FakeEngine(frames=[(("stdout", told), ("exit", b"0"))]), Here(), "a", ":dir")


@pytest.mark.parametrize(
    ("said", "hint"),
    [("No space left on device", "df -h"), ("Permission denied", "ls -la"), (BROKE_OFF, "run the same command again")],
)
def test_a_failure_on_the_way_in_has_a_hint_that_fits(said: str, hint: str) -> None:
    broken = ExecResult(code=2, stdout=b"", stderr=said.encode())
    with pytest.raises(EngineError) as told:
        run(FakeEngine(frames=[FOLDER], answers={"sh": broken}), Here(), "a", ":")
    assert hint in str(told.value.hint)


def test_a_workstation_that_does_not_run_is_told() -> None:
    engine = FakeEngine(containers={"my-app": make_container(state="exited")})
    with pytest.raises(EngineError, match="not running"):
        copy(World(engine=engine).context(), "my-app", "dev", parse_ends("a", ":"), Here().outside())
