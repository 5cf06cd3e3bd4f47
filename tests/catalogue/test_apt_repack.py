"""apt-repack as apt calls it, on a package cache of its own: what dpkg finds there, and what apt finds again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "images/rootfs/init/usr/lib/devbox/apt-repack"

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg here")


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    """A package that apt has downloaded."""
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: b <b@c>\nDescription: d\n"
    )
    (root / "usr").mkdir()
    (root / "usr/file").write_bytes(bytes(10_001))
    path = tmp_path / "cache/archives/a_1_all.deb"
    path.parent.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(path)], check=True, capture_output=True)
    return path


def repack(deb: Path, *options: str, listed: str = "") -> None:
    environment = {**os.environ, "DEVBOX_APT_CACHE": str(deb.parents[1])}
    subprocess.run([str(SCRIPT), *options], input=listed, env=environment, text=True, check=True)


def look(deb: Path) -> tuple[bytes, bytes]:
    """The control files and the files of a package, as dpkg reads them."""
    control, files = (
        subprocess.run(["dpkg-deb", how, str(deb)], check=True, capture_output=True).stdout
        for how in ("--ctrl-tarfile", "--fsys-tarfile")
    )
    return control, files


def test_dpkg_finds_the_same_package_without_compression(deb: Path) -> None:
    before = look(deb)
    repack(deb, listed=f"{deb}\n")
    assert look(deb) == before
    assert before[1] in deb.read_bytes()


def test_apt_finds_its_own_download_again(deb: Path) -> None:
    before = deb.read_bytes()
    repack(deb, listed=f"{deb}\n")
    assert deb.read_bytes() != before
    repack(deb, "--restore")
    assert deb.read_bytes() == before


def test_a_package_is_packed_anew_once_and_another_of_its_name_again(deb: Path) -> None:
    repack(deb, listed=f"{deb}\n")
    first = deb.stat().st_ino
    repack(deb, "--restore")
    repack(deb, listed=f"{deb}\n")
    assert deb.stat().st_ino == first
    repack(deb, "--restore")
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", str(deb.parents[2] / "root"), str(deb)], check=True)
    repack(deb, listed=f"{deb}\n")
    assert deb.stat().st_ino != first


def test_a_package_that_cannot_be_packed_anew_stays_as_it_came(deb: Path) -> None:
    deb.write_bytes(b"not a package")
    repack(deb, listed=f"{deb}\n")
    assert deb.read_bytes() == b"not a package"
    assert list((deb.parents[1] / "plain").iterdir()) == []
