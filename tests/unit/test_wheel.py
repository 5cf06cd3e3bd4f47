"""The wheel, installed where nothing else of ours is: all that devbox needs at run time is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Installed:
    """The command of an environment, and a folder outside of the repository to work in."""

    command: Path
    folder: Path
    environment: Mapping[str, str]

    def run(self, *words: str) -> str:
        argv = [str(self.command), *words]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout


def run(*argv: str | Path) -> None:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


def build_wheel(folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *options: str) -> Installed:
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "venv/bin/python")
    run(*pip, "install", "--quiet", *options, wheel)
    (folder / "my-app").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG_"))}
    environment = {**kept, "HOME": str(folder), "DOCKER_HOST": f"unix://{folder}/no-engine.sock"}
    return Installed(folder / "venv/bin/devbox", folder / "my-app", environment)


def check(installed: Installed) -> None:
    """The verbs that need no engine; the plan's id says that all files and their modes are those of the checkout."""
    assert "Commands:" in installed.run("--help")
    installed.run("init", "--yes")
    installed.run("config", "--json")
    assert ".workstation/Dockerfile" in installed.run("render", "--assume").split()
    argv = [sys.executable, "-m", "builder", "-C", str(installed.folder), "plan", "--assume", "--json"]
    ours = subprocess.run(argv, env=installed.environment, capture_output=True, text=True, check=True, cwd=ROOT)
    assert installed.run("plan", "--assume", "--json") == ours.stdout


def test_the_wheel_works_alone_and_plans_what_the_checkout_plans(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "dist")
    assert "builder/py.typed" in zipfile.ZipFile(wheel).namelist()
    installed = install(wheel, tmp_path, "--no-deps", "--no-index")
    # What it depends on is borrowed from this environment, whose own devbox is not on that path: it is editable.
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = "import builder, pathlib; print(pathlib.Path(builder.__file__).parent.parent)"
    found = subprocess.run(
        [site.parents[2] / "bin/python", "-c", where], cwd="/", capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == site
    check(installed)


@pytest.mark.long
def test_the_wheel_brings_what_it_depends_on_into_an_empty_environment(tmp_path: Path) -> None:
    check(install(build_wheel(tmp_path / "dist"), tmp_path))
