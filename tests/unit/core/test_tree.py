"""The same content is the same archive, and BuildKit takes it for one."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from builder.adapters.buildcontext import read_context
from builder.core.tree import MTIME, Entry, Kind, make_header, sort_entries, stays_inside
from builder.errors import HostError, RenderError
from builder.model import RenderedFile


def pack(tree: dict[str, RenderedFile], **folders: Path) -> bytes:
    return b"".join(read_context(tree, {name.replace("_", "/"): path for name, path in folders.items()}))


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getmembers()


FILES = {"b/run": RenderedFile(data=b"#!", executable=True), "Dockerfile": RenderedFile(data=b"FROM x\n")}


def test_order_time_owner_and_disk_order_do_not_matter(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, names in ((first, "ab"), (second, "ba")):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
            os.utime(folder / name, (len(names), ord(name)))
        (folder / "a").chmod(0o4755)
    backwards = dict(reversed(FILES.items()))
    assert pack(FILES, artifacts_x=first) == pack(backwards, artifacts_x=second)


def test_members_are_normal(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 700)
    (tmp_path / "link").symlink_to("data")
    found = {item.name: item for item in members(pack(FILES, artifacts_x=tmp_path))}
    assert list(found) == [
        "Dockerfile",
        "artifacts",
        "artifacts/x",
        "artifacts/x/data",
        "artifacts/x/link",
        "b",
        "b/run",
    ]
    assert {item.mtime for item in found.values()} == {MTIME}
    assert {(item.uid, item.gid, item.uname, item.gname) for item in found.values()} == {(0, 0, "", "")}
    assert (found["b/run"].mode, found["Dockerfile"].mode, found["b"].mode) == (0o755, 0o644, 0o755)
    assert found["artifacts/x/link"].linkname == "data"
    assert found["artifacts/x/data"].size == 700


def test_first_1024_bytes_are_enough_to_know_an_archive() -> None:
    """BuildKit reads no more to tell an archive; a long name or a PAX header there hides the first member."""
    long = {f"a{'b' * 200}/file": RenderedFile(data=b""), "Dockerfile": RenderedFile(data=b"FROM x\n")}
    start = pack(long)[:1024]
    assert tarfile.TarInfo.frombuf(start[:512], "utf-8", "strict").type == tarfile.REGTYPE
    with tarfile.open(fileobj=io.BytesIO(start + bytes(1024))) as archive:
        assert archive.next() is not None


def test_long_names_survive() -> None:
    name = "/".join(["folder" * 10] * 5) + "/é"
    assert name in [item.name for item in members(pack({name: RenderedFile(data=b"x")}))]


@pytest.mark.parametrize(
    ("path", "target", "inside"),
    [
        ("bin/npm", "../lib/npm.js", True),
        ("bin/npm", "../../outside", False),
        ("a", "..", False),
        ("a", "/etc/passwd", True),  # counts from the root of the tree, as in the image
        ("a/b", "/../x", False),
        ("a/..b", "..c", True),
        ("..b", "..c", True),
    ],
)
def test_links_may_not_leave_their_tree(path: str, target: str, inside: bool) -> None:
    assert stays_inside(path, target) is inside


def test_link_that_leaves_and_things_without_a_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("../../secret")
    with pytest.raises(HostError, match="leads out"):
        pack({}, x=tmp_path)
    (tmp_path / "out").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="only files"):
        pack({}, x=tmp_path)


def test_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    stream = read_context({}, {"x": tmp_path})
    (tmp_path / "file").write_bytes(b"1234567")
    with pytest.raises(HostError, match="changed while"):
        list(stream)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="none"):
        pack({}, x=tmp_path / "none")


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../b", "a//b", ".", ".."])
def test_path_outside_the_context_is_refused(path: str) -> None:
    with pytest.raises(RenderError):
        sort_entries([Entry(path=path, kind=Kind.FILE)])


def test_two_sources_of_one_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("disk")
    with pytest.raises(RenderError, match="two sources"):
        pack({"x/file": RenderedFile(data=b"memory")}, x=tmp_path)


def test_header_is_whole_blocks() -> None:
    assert len(make_header(Entry(path="x" * 300, kind=Kind.FILE, size=9_000_000_000))) % 512 == 0
