"""The files of an image out of the tar of an engine's answer, whole or broken off."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import tarfile
from pathlib import Path

import pytest

from builder.adapters.engine.client import connect_engine
from builder.adapters.living import this_process
from builder.adapters.tarstream import CHUNK
from builder.core.labels import LABEL_EXPORT
from builder.errors import EngineError
from builder.model import ImageFile
from tests.unit.adapters.scripted_engine import Answer, chunked, reply, scripted_engine
from tests.unit.core.saved_images import file as member
from tests.unit.core.saved_images import make_layer, save

ONE = b"one" * 1000
PROGRAM = b"." * (CHUNK - 5) + b"version 1.2 and version 3.4"  # the first lies across two chunks


FILES = {".dockerenv": b"", "etc/hosts": b"", "opt/one": ONE, "opt/two": b"two", "opt/program": PROGRAM}
WANTED: dict[str, bool | re.Pattern[bytes]] = {
    "opt/one": False,
    "opt/two": True,
    "opt/program": re.compile(rb"version \d\.\d"),
}


def make_tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in {
            ".dockerenv": b"",
            "etc/hosts": b"",
            "opt/one": ONE,
            "opt/two": b"two",
            "opt/program": PROGRAM,
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for kind, name, target in ((tarfile.LNKTYPE, "opt/same", "opt/one"), (tarfile.SYMTYPE, "opt/link", "one")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        folder = tarfile.TarInfo("opt/folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return sink.getvalue()


def read(folder: Path, answer: bytes, removed: list[str], left: str = "") -> list[ImageFile]:
    def remove(connection: socket.socket, line: str) -> None:
        removed.append(line.split()[1].rpartition("/")[2])
        connection.sendall(reply(b"", "204 No Content"))

    answers: dict[str, bytes | Answer] = {
        "containers/json": reply([{"Id": "old", "Labels": {LABEL_EXPORT: left}}]),
        "/create": reply({"Id": "c1"}, "201 Created"),
        "/export": answer,
        "DELETE": remove,
    }
    with scripted_engine(folder, answers) as environment:
        return list(connect_engine(environment).read_files("image:1", WANTED.__getitem__))


def test_files_come_with_sums_links_with_targets_and_only_wanted_bytes(tmp_path: Path) -> None:
    removed: list[str] = []
    one, two, program, same, link = read(tmp_path, reply(make_tar()), removed)
    assert (one.path, one.size, one.sha256, one.data) == ("opt/one", 3000, hashlib.sha256(ONE).hexdigest(), b"")
    assert one.sha1 == hashlib.sha1(ONE, usedforsecurity=False).hexdigest()
    assert (two.path, two.data) == ("opt/two", b"two")
    assert (program.size, program.data) == (len(PROGRAM), b"version 1.2")
    assert (same.path, same.size, same.sha256) == ("opt/same", 0, one.sha256)
    assert (link.path, link.link) == ("opt/link", "one")
    assert [name.partition("?")[0] for name in removed] == ["c1"]


@pytest.mark.parametrize("kept", [700, 2000], ids=["in a header", "in a file"])
def test_an_answer_that_breaks_off_is_told_and_leaves_no_container(tmp_path: Path, kept: int) -> None:
    removed: list[str] = []
    with pytest.raises(EngineError, match="cannot read the files of image:1") as caught:
        read(tmp_path, reply(make_tar()[: 512 * 2 + kept]), removed)
    assert caught.value.hint
    assert [name.partition("?")[0] for name in removed] == ["c1"]


def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    missing = reply({"message": "No such image: image:1"}, "404 Not Found")
    answers: dict[str, bytes | Answer] = {"containers/json": reply([]), "/create": missing}
    with scripted_engine(tmp_path, answers) as environment, pytest.raises(EngineError, match="No such image: image:1"):
        list(connect_engine(environment).read_files("image:1", lambda path: False))


def test_what_a_killed_one_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    for left, wanted in ((this_process(), ["c1"]), (f"{this_process()}0", ["old", "c1"])):
        folder = tmp_path / str(len(wanted))
        folder.mkdir()
        removed: list[str] = []
        read(folder, reply(make_tar()), removed, left)
        assert [name.partition("?")[0] for name in removed] == wanted


SAVED = save([make_layer([member("a", ONE)])])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(SAVED[: len(SAVED) // 2]), "the engine's answer broke off"),
        (reply({"message": "No such image: image:1"}, "404 Not Found"), "No such image: image:1"),
        (reply(SAVED).replace(f"Length: {len(SAVED)}".encode(), b"Length: 90000"), "cannot read the layers of image:1"),
    ],
    ids=["half of it", "no image", "the connection ended"],
)
def test_layers_that_do_not_come_whole_are_told(tmp_path: Path, answer: bytes, reason: str) -> None:
    with scripted_engine(tmp_path, {"/get": answer}) as environment, pytest.raises(EngineError, match=reason):
        connect_engine(environment).read_image("image:1", lambda path: False)


def test_layers_are_read_as_they_come_and_saved_as_they_are(tmp_path: Path) -> None:
    with scripted_engine(tmp_path, {"/get": reply(SAVED)}) as environment:
        engine = connect_engine(environment)
        (layer,) = engine.read_image("image:1", lambda path: False).layers
        assert [(entry.path, entry.sha256) for entry in layer.entries] == [("a", hashlib.sha256(ONE).hexdigest())]
        assert b"".join(engine.save_image("image:1")) == SAVED


def test_what_an_engine_says_against_an_image_is_told(tmp_path: Path) -> None:
    answers: dict[str, bytes | Answer] = {"/images/load": chunked({"error": "invalid tar header"})}
    with (
        scripted_engine(tmp_path, answers) as environment,
        pytest.raises(EngineError, match="cannot load the image: invalid tar header"),
    ):
        connect_engine(environment).load_image(iter([SAVED]))
