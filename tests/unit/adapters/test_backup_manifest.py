"""The manifest of a backup: every kind of file, read back as it was written, and every difference noticed."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.adapters.backups.compare import compare, nanoseconds, plain, read_times
from builder.adapters.backups.manifest import MOVED, Entry, is_excluded, read_manifest, scan, write_manifest

ODD = ("-rf", "new\nline", "🐧", "n" * 255, os.fsdecode(b"latin-\xe9"), " blank ", "$(id)", '"', "\\")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    root.mkdir()
    for name in ODD:
        (root / name).write_bytes(os.fsencode(name))
    (root / "empty").mkdir()
    (root / "link").symlink_to("nowhere")
    os.mkfifo(root / "pipe", 0o640)
    (root / "one").write_bytes(b"same")
    os.link(root / "one", root / "two")
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    os.setxattr(root / "one", "user.note", b"\x00kept")
    (root / "one").chmod(0o4711)
    os.utime(root / "one", ns=(1, 1_234_567_890_123_456_789))
    return root


def entries(root: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in scan(str(root))}


def times_of(found: Mapping[str, Entry]) -> dict[str, set[int]]:
    return {plain(path): {entry.ctime} for path, entry in found.items()}


def test_every_kind_of_file_is_described_and_read_back(folder: Path, tmp_path: Path) -> None:
    found = entries(folder)
    assert set(found) == {"", *ODD, "empty", "link", "pipe", "one", "two", "sparse"}
    one = found["one"]
    assert (one.mode, one.mtime, one.xattrs) == (0o4711, 1_234_567_890_123_456_789, {"user.note": "AGtlcHQ="})
    assert one.twin == found["two"].twin != ""
    assert (found["pipe"].kind, found["link"].target, found["empty"].kind) == ("pipe", "nowhere", "folder")
    assert found["sparse"].sparse
    assert not one.sparse
    file = tmp_path / "manifest.gz"
    assert write_manifest(str(file), {"home": scan(str(folder))})["files"] == len(found)
    assert {entry.path: entry for entry in read_manifest(str(file))["home"]} == found


def test_the_same_files_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_manifest(str(tmp_path / name), {"home": scan(str(folder))})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_socket_is_left_out(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        assert "socket" not in entries(folder)


def test_a_tree_that_is_deeper_than_pythons_stack(tmp_path: Path) -> None:
    made = [f"{tmp_path}{'/d' * depth}" for depth in range(1, 1101)]
    try:
        for folder in made:
            os.mkdir(folder)  # noqa: PTH102  # a thousand paths of a thousand parts
        assert sum(1 for _ in scan(str(tmp_path))) == 1101
    finally:  # pytest's own way of removing it is not up to that
        for folder in reversed(made):
            os.rmdir(folder)  # noqa: PTH106


def test_a_manifest_of_a_newer_devbox_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "manifest.gz"
    file.write_bytes(gzip.compress(b'{"form": 2, "volumes": []}\n'))
    with pytest.raises(ValueError, match="its form is 2"):
        read_manifest(str(file))


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("node_modules", "projects/x/node_modules", True),
        ("node_modules", "projects/node_modules.txt", False),
        (".cache/pip", "dev/.cache/pip", True),
        (".cache/pip", "pip", False),
        ("*.iso", "a/b.iso", True),
        ("*.iso", "a.iso/b", False),  # what is below is never come to
        ("a?c", "abc", True),
    ],
)
def test_a_pattern_fits_the_end_of_a_path_part_by_part(pattern: str, path: str, fits: bool) -> None:
    assert is_excluded(path, [pattern.split("/")]) is fits


def test_what_is_excluded_is_not_scanned(folder: Path) -> None:
    (folder / "empty/node_modules/x").mkdir(parents=True)
    assert [entry.path for entry in scan(str(folder), ["node_modules"]) if "node_modules" in entry.path] == []


# ------------------------------------------------------------------------------------------------- comparing


def test_the_same_folder_has_no_difference(folder: Path) -> None:
    found = entries(folder)
    result = compare(list(found.values()), times_of(found), found.values())
    assert (result.differences, result.compared, result.moved) == ([], len(found), 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "folder"}, "kind is folder, was file"),
        ({"mode": 0o711}, "mode is 0o711, was 0o4711"),
        ({"uid": 4711}, "uid is 4711"),
        ({"gid": 4711}, "gid is 4711"),
        ({"size": 3}, "size is 3, was 4"),
        ({"sha256": "0"}, "sha256 is 0"),
        ({"target": "x"}, "target is x"),
        ({"mtime": 1}, "mtime is 1"),
        ({"xattrs": {}}, "extended attributes are none, were user.note"),
        ({"twin": ""}, "is linked to other files"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_whatever_differs_is_noticed(folder: Path, change: dict[str, object], said: str) -> None:
    found = entries(folder)
    restored = {**found, "one": found["one"]._replace(**change)}  # type: ignore[arg-type]
    result = compare(list(found.values()), times_of(found), restored.values())
    assert any(said in item.what for item in result.differences if item.path == "one")


def test_what_is_missing_and_what_is_too_much_is_noticed(folder: Path) -> None:
    found = entries(folder)
    restored = {path: entry for path, entry in found.items() if path != "pipe"}
    restored["more"] = found["one"]._replace(path="more", twin="")
    result = compare(list(found.values()), times_of(found), restored.values())
    assert {(item.path, item.what) for item in result.differences} >= {
        ("pipe", "is missing"),
        ("more", "was not in the backup"),
    }


def test_a_file_that_changed_while_it_was_backed_up_is_counted_and_not_compared(folder: Path) -> None:
    found = entries(folder)
    times = {**times_of(found), "-rf": {found["-rf"].ctime + 1}, "made-meanwhile": {5}}
    del times["empty"]  # it vanished before restic came
    restored = {path: entry for path, entry in found.items() if path != "empty"}
    restored["-rf"] = found["-rf"]._replace(sha256="0")
    restored["made-meanwhile"] = found["sparse"]._replace(path="made-meanwhile")
    result = compare(list(found.values()), times, restored.values())
    assert (result.differences, result.moved) == ([], 2)


def test_a_file_that_changed_under_the_scan_is_compared_with_nothing(folder: Path) -> None:
    found = entries(folder)
    moved = {**found, "-rf": found["-rf"]._replace(ctime=MOVED)}
    assert compare(list(moved.values()), times_of(found), found.values()).moved == 1


def test_what_restic_says_meets_the_names_of_the_scan() -> None:
    nodes = [
        {"struct_type": "snapshot"},
        {"path": "/source/home", "ctime": "2026-11-25T19:26:24.000000001Z"},
        {"path": "/source/home/latin-\ufffd\ufffd", "ctime": "2026-11-25T21:26:24.5+02:00"},
        {"path": "/source/homely", "ctime": "2026-11-25T19:26:24Z"},
    ]
    times = read_times(nodes, "/source/home")
    second = 1_795_634_784_000_000_000
    assert times == {"": {second + 1}, plain(os.fsdecode(b"latin-\xe9")): {second + 500_000_000}}


def test_a_time_that_is_none_is_nobodys() -> None:
    assert nanoseconds("yesterday") == 0
