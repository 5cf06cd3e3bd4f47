"""python-install without its build stage: which commands of a wheel it finds, and what it reads of a project.

What it makes of them is proved by the engine tests, on every base.
"""

from __future__ import annotations

import runpy
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "images/rootfs/python/usr/lib/devbox/python-install"


@pytest.fixture(scope="module")
def script() -> Mapping[str, Callable[..., Any]]:
    return runpy.run_path(str(SCRIPT))


def make_wheel(folder: Path, files: Mapping[str, str]) -> Path:
    wheel = folder / "tools-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def test_the_commands_of_a_wheel_are_its_entry_points_and_its_scripts(
    script: Mapping[str, Callable[..., Any]], tmp_path: Path
) -> None:
    points = "[console_scripts]\nTool = tools:main\ntwo=x:y [extra]\n[gui_scripts]\nwin = x:y\n[other]\nno = x:y\n"
    wheel = make_wheel(
        tmp_path,
        {
            "tools-1.0.dist-info/entry_points.txt": points,
            "tools/vendored.dist-info/entry_points.txt": "[console_scripts]\nhidden = x:y\n",
            "tools-1.0.data/scripts/old-style": "#!python\n",
        },
    )
    assert script["find_commands"](wheel) == ["Tool", "old-style", "two", "win"]


def test_a_wheel_without_commands_is_refused(script: Mapping[str, Callable[..., Any]], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no commands: nothing of it would be on the PATH"):
        script["find_commands"](make_wheel(tmp_path, {"tools.py": ""}))


def test_one_wheel_is_taken_none_or_two_are_refused(script: Mapping[str, Callable[..., Any]], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0 wheels"):
        script["find_wheel"](tmp_path)
    wheel = make_wheel(tmp_path, {})
    assert script["find_wheel"](tmp_path) == wheel
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"")
    with pytest.raises(SystemExit, match="2 wheels"):
        script["find_wheel"](tmp_path)


def test_a_project_with_an_old_wheel_beside_it_is_a_project(
    script: Mapping[str, Callable[..., Any]], tmp_path: Path
) -> None:
    make_wheel(tmp_path, {})
    assert not script["is_project"](tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert script["is_project"](tmp_path)
