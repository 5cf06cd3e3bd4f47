"""apt-ahead as apt calls it, before dpkg, and as dpkg calls it, in dpkg-deb's place."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "images/rootfs/init/usr/lib/devbox/apt-ahead"

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg here")


@pytest.fixture
def debs(tmp_path: Path) -> list[Path]:
    """Packages that apt has downloaded, by the links under which dpkg gets to know them."""
    (tmp_path / "links").mkdir()
    return [make_deb(tmp_path, name, number) for number, name in enumerate(("first", "second", "third"))]


def make_deb(folder: Path, name: str, number: int) -> Path:
    root = folder / name
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: b <b@c>\nDescription: d\n"
    )
    (root / name).write_bytes(os.urandom(10_001))
    path = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(path)], check=True, capture_output=True)
    link = folder / f"links/{number:02}-{path.name}"
    link.symlink_to(path)
    return link


def call(
    debs: Sequence[Path], *words: str, listed: str = "", processors: int = 2
) -> subprocess.CompletedProcess[bytes]:
    programs = debs[0].parents[1] / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "nproc").write_text(f"#!/bin/sh\necho {processors}\n")
    (programs / "nproc").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DEVBOX_APT_AHEAD": str(ready_folder(debs))}
    argv = [str(SCRIPT), *words]
    return subprocess.run(argv, input=listed.encode(), env=environment, capture_output=True, check=False)


def ready_folder(debs: Sequence[Path]) -> Path:
    return debs[0].parents[1] / "ready"


def run_ahead(debs: Sequence[Path]) -> list[str]:
    """Let it decompress all, which it does in the background; what is ready then."""
    done = call(debs, listed="".join(f"{deb.resolve()}\n" for deb in debs))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    subprocess.run(["flock", str(ready_folder(debs) / "lock"), "true"], check=True, timeout=20)
    assert not [path for path in debs[0].parents[1].glob("ready/*.deb") if not Path(f"{path}.ready").exists()]
    return sorted(path.name.removesuffix(".ready") for path in ready_folder(debs).glob("*.ready"))


def unpacked(deb: Path) -> bytes:
    return subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout


def test_dpkg_gets_what_was_decompressed_ahead_and_once(debs: list[Path]) -> None:
    assert run_ahead(debs) == ["first_1_all.deb", "second_1_all.deb", "third_1_all.deb"]
    marked = ready_folder(debs) / "second_1_all.deb"
    marked.write_bytes(b"decompressed before")
    assert call(debs, "--fsys-tarfile", str(debs[1])).stdout == b"decompressed before"
    assert not marked.exists(), "it would be on the disk until the end of the build"
    assert call(debs, "--fsys-tarfile", str(debs[0])).stdout == unpacked(debs[0])


def test_what_nobody_is_at_dpkg_deb_does_itself(debs: list[Path]) -> None:
    assert call(debs, "--fsys-tarfile", str(debs[2])).stdout == unpacked(debs[2])
    told = call(debs, "--field", str(debs[2]), "Package")
    assert (told.returncode, told.stdout) == (0, b"third\n")


def test_what_dpkg_has_taken_is_not_decompressed_for_nobody(debs: list[Path]) -> None:
    ready_folder(debs).mkdir()
    assert call(debs, "--fsys-tarfile", str(debs[0])).stdout == unpacked(debs[0])
    assert run_ahead(debs) == ["second_1_all.deb", "third_1_all.deb"]


def test_dpkg_waits_for_what_is_under_way(debs: list[Path]) -> None:
    ready_folder(debs).mkdir()
    taken = ready_folder(debs) / "second_1_all.deb.taken"
    with ThreadPoolExecutor(1) as pool, taken.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        asked = pool.submit(call, debs, "--fsys-tarfile", str(debs[1]))
        wait_for_lock(taken)
        assert not asked.done()
        (ready_folder(debs) / "second_1_all.deb").write_bytes(b"decompressed meanwhile")
        (ready_folder(debs) / "second_1_all.deb.ready").touch()
        fcntl.flock(file, fcntl.LOCK_UN)
        assert asked.result().stdout == b"decompressed meanwhile"


def wait_for_lock(file: Path) -> None:
    """Until somebody waits for the lock of `file`, which /proc/locks tells by an arrow and the inode."""
    inode = re.compile(rf"-> FLOCK .*:{file.stat().st_ino} ")
    deadline = time.monotonic() + 20
    while not inode.search(Path("/proc/locks").read_text(encoding="ascii")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_package_that_is_asked_for_again_is_decompressed_again(debs: list[Path]) -> None:
    run_ahead(debs)
    for _ in range(2):
        assert call(debs, "--fsys-tarfile", str(debs[1])).stdout == unpacked(debs[1])


def test_a_package_that_is_none_is_left_to_dpkg(debs: list[Path]) -> None:
    debs[1].resolve().write_bytes(bytes(99))
    assert "second_1_all.deb" not in run_ahead(debs)
    told = call(debs, "--fsys-tarfile", str(debs[1]))
    assert told.returncode == 2
    assert b"dpkg-deb: error" in told.stderr
    assert call(debs, "--fsys-tarfile", str(debs[2])).stdout == unpacked(debs[2])


def test_on_one_processor_there_is_nothing_to_gain(debs: list[Path]) -> None:
    assert call(debs, listed=f"{debs[0].resolve()}\n", processors=1).returncode == 0
    assert not ready_folder(debs).exists()
