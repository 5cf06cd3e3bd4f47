"""Images in files: what comes out is what went in, and a file that is not whole is refused before it is used."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from builder.adapters.files import PART
from builder.adapters.imagearchive import read_archive, read_note, write_archive
from builder.errors import HostError

CHUNKS = (b"a" * 3_000_000, b"", b"b" * 5, bytes(range(256)) * 8_000)
ABOUT = {"image": "devbox/workstation:870f", "arch": "amd64"}


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar.zst"
    assert write_archive(path, iter(CHUNKS), ABOUT, quiet) == path.stat().st_size
    return path


def test_what_comes_out_is_what_went_in(archive: Path) -> None:
    assert b"".join(read_archive(archive, quiet)) == b"".join(CHUNKS)
    assert read_note(archive) == {**ABOUT, "size": str(sum(map(len, CHUNKS)))}


def test_zstd_itself_passes_over_the_note(archive: Path) -> None:
    with (
        archive.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader,
    ):
        assert reader.read() == b"".join(CHUNKS)


def test_progress_ends_with_all(tmp_path: Path, archive: Path) -> None:
    told: list[tuple[int, int]] = []
    write_archive(tmp_path / "other", iter(CHUNKS), ABOUT, lambda done, total: told.append((done, total)))
    assert told[-1] == (sum(map(len, CHUNKS)), 0)
    told.clear()
    list(read_archive(archive, lambda done, total: told.append((done, total))))
    assert told
    assert told[-1][1] == archive.stat().st_size


def test_one_that_was_cut_off_or_is_something_else_has_no_note(tmp_path: Path, archive: Path) -> None:
    whole = archive.read_bytes()
    for data in (whole[:-1], whole[:100], b"", zstandard.compress(b"x")):
        archive.write_bytes(data)
        with pytest.raises(HostError, match="this is no file of `devbox save`") as caught:
            read_note(archive)
        assert caught.value.hint
    with pytest.raises(HostError, match="cannot read this"):
        read_note(tmp_path / "none")


def test_a_byte_that_changed_is_found_while_it_is_read(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 8] ^= 1
    archive.write_bytes(data)
    with pytest.raises(HostError, match="this file is damaged"):
        list(read_archive(archive, quiet))


def test_one_that_is_interrupted_leaves_what_was_there(archive: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CHUNKS[0]
        raise KeyboardInterrupt

    before = archive.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_archive(archive, broken(), ABOUT, quiet)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    assert archive.read_bytes() == before


KILLED = """
import os, pathlib, signal, sys
from builder.adapters.imagearchive import write_archive
def chunks():
    yield b"x" * 3_000_000
    os.kill(os.getpid(), signal.SIGKILL)
write_archive(pathlib.Path(sys.argv[1]), chunks(), {}, lambda done, total: None)
"""


def test_the_part_of_one_that_was_killed_goes_with_the_next(tmp_path: Path) -> None:
    path, others = tmp_path / "image[1].tar.zst", tmp_path / f".image1.tar.zst.x{PART}"
    others.touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = set(tmp_path.iterdir()) - {others}
    assert left.name.endswith(PART)
    write_archive(path, iter(CHUNKS), ABOUT, quiet)
    assert set(tmp_path.iterdir()) == {path, others}


def test_the_part_of_one_that_is_still_being_written_stays(archive: Path) -> None:
    def meanwhile() -> Iterator[bytes]:
        yield CHUNKS[0]
        write_archive(archive, iter([b"other"]), {"image": "other"}, quiet)

    write_archive(archive, meanwhile(), ABOUT, quiet)
    assert read_note(archive)["image"] == ABOUT["image"]
    assert list(archive.parent.iterdir()) == [archive]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot write this"):
        write_archive(tmp_path / "none/file", iter(CHUNKS), ABOUT, quiet)
