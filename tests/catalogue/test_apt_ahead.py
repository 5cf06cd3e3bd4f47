"""apt-ahead as apt calls it, before dpkg, and as dpkg calls it, in dpkg-deb's place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
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


def call(debs: Sequence[Path], *words: str, listed: str = "") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "DEVBOX_APT_AHEAD": str(ready_folder(debs))}
    argv = [str(SCRIPT), *words]
    return subprocess.run(argv, input=listed.encode(), env=environment, capture_output=True, check=False)


def ready_folder(debs: Sequence[Path]) -> Path:
    return debs[0].parents[1] / "ready"


def run_ahead(debs: Sequence[Path]) -> list[str]:
    """Let it decompress all; what is ready then. It does so in the background, which this waits for."""
    listed = "".join(f"{deb.resolve()}\n" for deb in debs)
    in_foreground = SCRIPT.read_text().replace('"$ready/list" >/dev/null 2>&1 &', '"$ready/list"')
    assert in_foreground != SCRIPT.read_text()
    environment = {**os.environ, "DEVBOX_APT_AHEAD": str(ready_folder(debs))}
    argv = ["sh", "-c", in_foreground.replace("$(nproc)", "2"), str(SCRIPT)]
    subprocess.run(argv, input=listed, text=True, env=environment, check=True, capture_output=True)
    return sorted(path.name for path in ready_folder(debs).glob("*.deb"))


def unpacked(deb: Path) -> bytes:
    return subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout


def test_dpkg_gets_what_was_decompressed_ahead_and_once(debs: list[Path]) -> None:
    assert run_ahead(debs) == ["first_1_all.deb", "second_1_all.deb", "third_1_all.deb"]
    marked = ready_folder(debs) / "second_1_all.deb"
    marked.write_bytes(b"decompressed before")
    assert call(debs, "--fsys-tarfile", str(debs[1])).stdout == b"decompressed before"
    assert not marked.exists(), "it would be on the disk until the end of the build"
    assert call(debs, "--fsys-tarfile", str(debs[0])).stdout == unpacked(debs[0])


def test_what_is_not_ready_dpkg_deb_does_itself(debs: list[Path]) -> None:
    assert call(debs, "--fsys-tarfile", str(debs[2])).stdout == unpacked(debs[2])
    told = call(debs, "--field", str(debs[2]), "Package")
    assert (told.returncode, told.stdout) == (0, b"third\n")


def test_what_dpkg_has_taken_is_not_decompressed_for_nobody(debs: list[Path]) -> None:
    ready_folder(debs).mkdir()
    assert call(debs, "--fsys-tarfile", str(debs[0])).stdout == unpacked(debs[0])
    assert run_ahead(debs) == ["second_1_all.deb", "third_1_all.deb"]


def test_a_package_that_is_none_is_left_to_dpkg(debs: list[Path]) -> None:
    debs[1].resolve().write_bytes(bytes(99))
    assert run_ahead(debs) == ["third_1_all.deb"]
    assert not (ready_folder(debs) / "part").exists()
    told = call(debs, "--fsys-tarfile", str(debs[1]))
    assert told.returncode == 2
    assert b"dpkg-deb: error" in told.stderr


def test_apt_goes_on_at_once(debs: list[Path]) -> None:
    """It waits for the end of its hook, and of all that has the hook's output."""
    done = call(debs, listed="".join(f"{deb.resolve()}\n" for deb in debs))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    subprocess.run(["flock", str(ready_folder(debs) / "lock"), "true"], check=True, timeout=20)  # until it has ended
    assert len(list(ready_folder(debs).glob("*.deb"))) == 3 or os.cpu_count() == 1
