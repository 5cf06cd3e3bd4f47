"""Files of this machine as tar and back: what is kept, and what a tar of somebody else cannot do."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.adapters.localtree import look_at, pack_tree, unpack_tree
from builder.core.copying import Kind, Landing
from builder.errors import HostError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "below").mkdir(parents=True)
    (folder / "below/big").write_bytes(os.urandom(3_000_001))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("run.sh")
    os.mkfifo(folder / "pipe")
    return folder


def land(tmp_path: Path, name: str) -> Landing:
    (tmp_path / "here").mkdir(exist_ok=True)
    return Landing(folder=str(tmp_path / "here"), name=name)


def test_a_folder_goes_over_with_its_files_modes_and_links(tree: Path, tmp_path: Path) -> None:
    unpack_tree(pack_tree(tree, "tree"), land(tmp_path, "copy"), contents=False)
    copy = tmp_path / "here/copy"
    assert (copy / "below/big").read_bytes() == (tree / "below/big").read_bytes()
    assert (copy / "run.sh").stat().st_mode & 0o777 == 0o755
    assert [str((copy / name).readlink()) for name in ("out", "up")] == ["/etc/passwd", "run.sh"]
    assert not (copy / "pipe").exists()
    assert look_at(tree, measured=True).size == look_at(copy, measured=True).size == 3_000_011


def test_a_second_copy_replaces_files_and_keeps_what_else_is_there(tree: Path, tmp_path: Path) -> None:
    landing = land(tmp_path, "")
    (tmp_path / "here/other").write_text("stays")
    (tmp_path / "elsewhere").write_text("stays")
    (tmp_path / "here/run.sh").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        unpack_tree(pack_tree(tree, ""), landing, contents=True)
    assert (tmp_path / "here/run.sh").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "here/other").read_text() == (tmp_path / "elsewhere").read_text() == "stays"


def test_a_link_that_is_named_itself_is_followed(tree: Path, tmp_path: Path) -> None:
    unpack_tree(pack_tree(tree / "up", "up"), land(tmp_path, "up"), contents=False)
    assert not (tmp_path / "here/up").is_symlink()
    assert (tmp_path / "here/up").read_text() == "#!/bin/sh\n"


def test_two_names_of_one_file_are_both_copied(tree: Path, tmp_path: Path) -> None:
    (tree / "same.sh").hardlink_to(tree / "run.sh")
    unpack_tree(pack_tree(tree, "tree"), land(tmp_path, "copy"), contents=False)
    names = [tmp_path / "here/copy" / name for name in ("run.sh", "same.sh")]
    assert [name.read_text() for name in names] == ["#!/bin/sh\n"] * 2
    assert names[0].samefile(names[1])


def make_tar(*members: tuple[str, bytes, str]) -> Iterator[bytes]:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                tar.addfile(info)
    yield sink.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        [("x/../../evil", tarfile.REGTYPE, "evil")],
        [("/evil", tarfile.REGTYPE, "evil")],
        [("x", tarfile.LNKTYPE, "../outside")],
        [("x", tarfile.DIRTYPE, ""), ("x/there/evil", tarfile.REGTYPE, "evil")],
        [("x", tarfile.DIRTYPE, ""), ("x/new", tarfile.SYMTYPE, ".."), ("x/new/evil", tarfile.SYMTYPE, "evil")],
    ],
    ids=["upwards", "absolute", "hard link outwards", "through a link that is there", "a link through a link"],
)
def test_a_tar_that_would_leave_its_place_is_refused(members: list[tuple[str, bytes, str]], tmp_path: Path) -> None:
    landing = land(tmp_path, "x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "here/x").mkdir()
    (tmp_path / "here/x/there").symlink_to(tmp_path / "outside")
    with pytest.raises(HostError) as refused:
        unpack_tree(make_tar(*members), landing, contents=False)
    assert refused.value.hint
    assert not [path for path in tmp_path.rglob("*") if path.name == "evil"]


def test_nothing_is_written_through_a_link_that_came_along(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    members = [
        ("x", tarfile.DIRTYPE, ""), ("x/a", tarfile.SYMTYPE, str(outside)), ("x/a", tarfile.REGTYPE, "evil"),
        ("x/b", tarfile.SYMTYPE, str(tmp_path)), ("x/b", tarfile.DIRTYPE, ""), ("x/b/outside", tarfile.REGTYPE, "evil"),
    ]  # fmt: skip
    with pytest.raises(HostError, match="cannot write this"):  # a link in the place of a folder that was written to
        unpack_tree(make_tar(*members), land(tmp_path, "x"), contents=False)
    assert outside.read_text() == "mine"


def test_a_link_that_bears_the_name_of_the_copy_is_not_followed(tmp_path: Path) -> None:
    landing = land(tmp_path, "x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "here/x").symlink_to(tmp_path / "outside")
    with pytest.raises(HostError, match="behind a link"):
        unpack_tree(make_tar(("x", tarfile.DIRTYPE, ""), ("x/evil", tarfile.REGTYPE, "evil")), landing, contents=False)
    assert not list((tmp_path / "outside").iterdir())


def test_what_is_for_the_owner_alone_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o600)
    seen: list[int] = []
    monkeypatch.setattr(shutil, "copyfileobj", lambda _, sink, __: seen.append(os.fstat(sink.fileno()).st_mode))
    unpack_tree(pack_tree(key, "key"), land(tmp_path, "key"), contents=False)
    assert [oct(mode & 0o777) for mode in seen] == ["0o600"]


@pytest.mark.parametrize("odd", [{"mtime": "nan"}, {"mtime": f"{2**70}"}, {"path": "x/a\0b"}], ids=str)
def test_a_member_that_can_be_no_file_is_told(odd: dict[str, str], tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = odd
    with pytest.raises(HostError, match="no whole tar"):
        unpack_tree(iter([info.tobuf(tarfile.PAX_FORMAT)]), land(tmp_path, "x"), contents=False)


def test_a_tar_that_was_cut_off_is_told(tree: Path, tmp_path: Path) -> None:
    whole = b"".join(pack_tree(tree, "tree"))
    with pytest.raises(HostError, match="no whole tar"):
        unpack_tree(iter([whole[:100_000]]), land(tmp_path, "copy"), contents=False)


def test_a_file_in_the_place_of_a_folder_is_told(tree: Path, tmp_path: Path) -> None:
    landing = land(tmp_path, "copy")
    (tmp_path / "here/copy").mkdir()
    (tmp_path / "here/copy/below").write_text("a file")
    with pytest.raises(HostError, match=r"copy/below: cannot write this: File exists"):
        unpack_tree(pack_tree(tree, "tree"), landing, contents=False)


def test_what_is_at_a_path_is_told(tree: Path) -> None:
    kinds = [look_at(path).kind for path in (tree, tree / "up", tree / "none")]
    assert kinds == [Kind.FOLDER, Kind.FILE, Kind.MISSING]
    assert look_at(tree / "none/none").parent is Kind.MISSING
