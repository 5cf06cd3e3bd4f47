"""lay-out without its build: where kept packages are put, also while the build of another lock takes its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "templates/packages/lay-out"
DAY_S = 86_400

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg here")


def keep(folder: Path, name: str, *, kept: bool = True) -> str:
    """A folder as the build context has it, with a package of each kind. The sum of Debian's."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: b <b@c>\nDescription: d\n"
    )
    for kind in ("apt", "npm", "pip"):
        (folder / kind).mkdir()
    deb = folder / "deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)], check=True, capture_output=True)
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    if kept:
        deb.rename(folder / "apt" / f"{sha256}.deb")
    (folder / "npm/sha512-abcdef").write_text(name)
    (folder / f"pip/{name}.whl").write_text(name)
    (folder / "locked").write_text(f"{name} all 1 {sha256}\n")
    return sha256


def lay_out(folder: Path, plan: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "DEVBOX_APT_CACHE": str(home / "apt")}
    argv = [str(SCRIPT), str(folder), plan]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_is_laid_out_for_one_plan_stays_when_another_one_is(tmp_path: Path) -> None:
    one, other = keep(tmp_path / "one", "figlet"), keep(tmp_path / "other", "tree")
    home = tmp_path / "home"
    for name, plan in (("one", "1" * 64), ("other", "2" * 64), ("one", "1" * 64)):
        done = lay_out(tmp_path / name, plan, home)
        assert done.returncode == 0, done.stderr
    assert files_below(home) == {
        f"apt/devbox-packages/{'1' * 64}/{one}.deb",
        f"apt/devbox-packages/{'1' * 64}/Packages",
        f"apt/devbox-packages/{'2' * 64}/{other}.deb",
        f"apt/devbox-packages/{'2' * 64}/Packages",
        f".cache/pip/devbox-packages/{'1' * 64}/figlet.whl",
        f".cache/pip/devbox-packages/{'2' * 64}/tree.whl",
        ".npm/_cacache/content-v2/sha512/ab/cd/ef",
    }
    offered = (home / f"apt/devbox-packages/{'1' * 64}/Packages").read_text()
    assert "Package: figlet\n" in offered
    assert f"Filename: ./{one}.deb\n" in offered
    assert "tree" not in offered


def test_what_was_laid_out_more_than_a_day_ago_is_removed(tmp_path: Path) -> None:
    keep(tmp_path / "kept", "figlet")
    home = tmp_path / "home"
    for plan in ("old", "new"):
        assert lay_out(tmp_path / "kept", plan, home).returncode == 0
    for place in ("apt/devbox-packages", ".cache/pip/devbox-packages"):
        folder = home / place / "old"
        moment = folder.stat().st_mtime - DAY_S - 60
        os.utime(folder, (moment, moment))
    assert lay_out(tmp_path / "kept", "new", home).returncode == 0
    assert not [path for path in files_below(home) if "old" in path]
    assert {path for path in files_below(home) if "new" in path}


def test_what_another_build_removes_at_the_same_time_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "kept", "figlet")
    home = tmp_path / "home"
    assert lay_out(tmp_path / "kept", "old", home).returncode == 0
    folder = home / ".cache/pip/devbox-packages/old"
    os.utime(folder, (0, 0))
    stand_in = tmp_path / "programs/rm"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    done = lay_out(tmp_path / "kept", "new", home)
    assert done.returncode == 0, done.stderr


def test_a_list_that_lacks_a_package_takes_the_place_of_none(tmp_path: Path) -> None:
    """Another machine may build the same plan there, with all that it needs."""
    home = tmp_path / "home"
    keep(tmp_path / "whole", "figlet")
    assert lay_out(tmp_path / "whole", "plan", home).returncode == 0
    offered = home / "apt/devbox-packages/plan/Packages"
    before = offered.read_text()
    keep(tmp_path / "part", "figlet", kept=False)
    done = lay_out(tmp_path / "part", "plan", home)
    assert (done.returncode, done.stderr) == (100, "not kept: figlet 1\n")
    assert offered.read_text() == before
