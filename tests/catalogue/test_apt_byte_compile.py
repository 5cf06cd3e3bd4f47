"""apt-byte-compile as the scripts of Python's packages call it, in dpkg's place, and as apt-install waits for it."""

from __future__ import annotations

import fcntl
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "images/rootfs/init/usr/lib/devbox/apt-byte-compile"
VERSION = "python3.99"
LISTED = f"""\
/.
/usr/lib/{VERSION}/first.py
/usr/lib/{VERSION}/sub/second.py
/usr/lib/{VERSION}/sitecustomize.py
/usr/lib/{VERSION}/notes.txt
/usr/share/doc/other.py
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a Python, whose byte code this one makes, and a dpkg that knows one package."""
    folder = tmp_path / "root"
    (folder / f"usr/lib/{VERSION}/sub").mkdir(parents=True)
    (folder / "usr/bin").mkdir()
    for name in ("first.py", "sub/second.py"):
        (folder / f"usr/lib/{VERSION}" / name).write_text("value = 1\n")
    (folder / f"usr/lib/{VERSION}/sitecustomize.py").symlink_to("nowhere")
    (folder / f"usr/lib/{VERSION}/py_compile.py").symlink_to(py_compile.__file__)
    (tmp_path / "listed").write_text(LISTED)
    (folder / f"usr/bin/{VERSION}").symlink_to(sys.executable)
    (folder / "usr/bin/dpkg").write_text(f'#!/bin/sh\n[ "$1" = -L ] && exec cat {tmp_path}/listed\necho "dpkg $*"\n')
    (folder / "usr/bin/dpkg").chmod(0o755)
    return folder


def call(root: Path, *words: str, script: str = "") -> subprocess.CompletedProcess[str]:
    """By a script of that name, if there is one; its answer, which ends when the script would go on."""
    ours = {"DEVBOX_ROOT": str(root), "DEVBOX_BYTE_COMPILE": str(root.parent / "work")}
    environment = {**os.environ, **ours, **({"DPKG_MAINTSCRIPT_NAME": script} if script else {})}
    return subprocess.run(
        [str(SCRIPT), *words], env=environment, capture_output=True, text=True, check=False, timeout=20
    )


def compiled(root: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in (root / "usr/lib").rglob("*.pyc"))


@pytest.mark.parametrize("package", [f"lib{VERSION}-stdlib:amd64", f"lib{VERSION}-minimal", VERSION, f"{VERSION}-venv"])
def test_modules_are_compiled_and_the_script_hears_of_none(root: Path, package: str) -> None:
    asked = call(root, "-L", package, script="postinst")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    done = call(root)
    assert (done.returncode, done.stderr) == (0, "")
    assert compiled(root) == ["first", "second"]


def test_the_script_goes_on_meanwhile(root: Path) -> None:
    (root.parent / "work").mkdir()
    with (root.parent / "work/turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # nothing is compiled until this is let go
        assert call(root, "-L", VERSION, script="postinst").returncode == 0
        assert compiled(root) == []
    assert call(root).returncode == 0
    assert compiled(root) == ["first", "second"]


def test_what_cannot_be_compiled_fails_the_step(root: Path) -> None:
    (root / f"usr/lib/{VERSION}/first.py").write_text("value = (\n")
    assert call(root, "-L", VERSION, script="postinst").returncode == 0
    done = call(root)
    assert done.returncode == 1
    assert "first.py" in done.stderr


def test_modules_that_dpkg_does_not_name_fail_the_step(root: Path) -> None:
    (root.parent / "listed").unlink()
    assert call(root, "-L", VERSION, script="postinst").returncode == 0
    done = call(root)
    assert done.returncode == 1
    assert f"not compiled: {VERSION}" in done.stderr


@pytest.mark.parametrize(
    ("words", "script"),
    [
        (("--compare-versions", "1", "lt", "2"), "postinst"),
        (("-L", "git"), "postinst"),
        (("-L", VERSION), "prerm"),
        (("-L", VERSION), ""),
    ],
)
def test_all_else_dpkg_answers(root: Path, words: tuple[str, ...], script: str) -> None:
    told = call(root, *words, script=script).stdout
    assert told == (LISTED if words[0] == "-L" else "dpkg --compare-versions 1 lt 2\n")
    assert compiled(root) == []


def test_without_python_there_is_nothing_to_wait_for(root: Path) -> None:
    assert call(root).returncode == 0
