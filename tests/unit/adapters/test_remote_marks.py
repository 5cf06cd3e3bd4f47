"""Whose a workstation on another machine is: by digits of this machine, which nothing here may change."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from builder.adapters.engine_look import look_containers
from builder.adapters.remote import marks
from builder.adapters.remote.address import find_place, parse_address
from builder.adapters.remote.marks import find_digits, mark_folder, unmark_folder
from builder.core.labels import LABEL_WORKSPACE
from builder.errors import HostError
from tests.unit.adapters.scripted_engine import reply, scripted_engine

ID = b"0123456789abcdef0123456789abcdef"
OF_ID = hashlib.sha256(b"devbox\0" + ID + str(os.getuid()).encode()).hexdigest()[:8]


@pytest.fixture(autouse=True)
def machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "machine-id"
    file.write_bytes(ID + b"\n")
    monkeypatch.setattr(marks, "MACHINE_ID", file)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return file


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "state/devbox/machine"


def call_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=name))


def test_a_folder_is_ours_over_there_only_with_our_mark_before_it() -> None:
    assert unmark_folder(mark_folder("/home/me/app")) == "/home/me/app"
    assert unmark_folder("elsewhere-12345678:/home/me/app") == "elsewhere-12345678:/home/me/app"
    assert unmark_folder(f"{OF_ID}x-12345678:/home/me/app") == f"{OF_ID}x-12345678:/home/me/app"
    assert unmark_folder("/home/me/app") == "there:/home/me/app"  # made on that machine, in a folder of its own
    assert mark_folder("") == unmark_folder("") == ""


def test_ours_stays_ours_when_this_machine_is_called_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    call_it("before.example.org", monkeypatch)
    before = mark_folder("/home/me/app")
    assert before == f"before-{OF_ID}:/home/me/app"  # also as it was marked when the id was not kept yet
    call_it("", monkeypatch)
    assert unmark_folder(before) == "/home/me/app"


def test_ours_stays_ours_when_the_id_of_this_machine_changes(machine_id: Path) -> None:
    before = mark_folder("/a")
    machine_id.write_text("another")
    assert unmark_folder(before) == "/a"
    machine_id.unlink()
    assert unmark_folder(before) == "/a"


@pytest.mark.parametrize("told", [None, b"", b"uninitialized\n"])
def test_two_machines_without_an_id_are_two(
    told: bytes | None, machine_id: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is None:
        machine_id.unlink()
    else:
        machine_id.write_bytes(told)
    call_it("runner", monkeypatch)
    one = mark_folder("/a")
    assert unmark_folder(one) == "/a"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert unmark_folder(one) == one


def test_where_nothing_can_be_kept_an_id_is_enough_and_none_is_told(
    machine_id: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert find_digits() == OF_ID
    machine_id.unlink()
    with pytest.raises(HostError, match="cannot make this"):
        find_digits()


def test_what_is_kept_and_damaged_is_told(kept: Path) -> None:
    find_digits()
    kept.write_text("")
    with pytest.raises(HostError, match="no 8 hex digits"):
        find_digits()


def test_several_at_once_agree(machine_id: Path, kept: Path) -> None:
    machine_id.unlink()
    found: list[str] = []
    gate = threading.Barrier(8)

    def look() -> None:
        gate.wait(10)
        found.append(find_digits())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert set(found) == {kept.read_text().strip()}
    assert re.fullmatch("[0-9a-f]{8}", found[0])
    assert [path.name for path in kept.parent.iterdir()] == ["machine"]


def test_the_quick_look_finds_what_was_made_under_another_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = {"DOCKER_HOST": "ssh://box", "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("q"))}
    folder = find_place(parse_address("ssh://box", where="x"), environment).folder
    folder.mkdir(parents=True)
    labels = [f"before-{OF_ID}:/a", f"before-{OF_ID}:/b", "before-12345678:/a", "/a"]
    common = {"State": "running", "Status": "Up", "Image": "x", "ImageID": "sha256:1", "Ports": [], "Created": 0}
    told = [
        {**common, "Id": label, "Names": [f"/n{number}"], "Labels": {LABEL_WORKSPACE: label}}
        for number, label in enumerate(labels)
    ]

    def answer(connection: socket.socket, line: str) -> None:
        (asked,) = json.loads(parse_qs(line.split()[1].partition("?")[2])["filters"][0])["label"]
        connection.sendall(
            reply([item for item in told if asked in (LABEL_WORKSPACE, f"{LABEL_WORKSPACE}={item['Id']}")])
        )

    with scripted_engine(folder, {"/containers/json": answer}):
        found = look_containers(environment, f"{LABEL_WORKSPACE}=/a")
        assert found is not None
        assert [view.id for view in found] == labels[:1]
        assert len(look_containers(environment, LABEL_WORKSPACE) or ()) == 4
