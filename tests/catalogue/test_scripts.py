"""shellcheck over every shell script: those of the image, and those that set up a machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = re.compile(rb"#! ?/(?:usr/)?bin/(?:env )?(?:ba|da)?sh\b|# shellcheck shell=")


def scripts() -> list[str]:
    paths = [
        path for folder in ("images/rootfs", "templates/packages", ".ci") for path in sorted((ROOT / folder).rglob("*"))
    ]
    files = [path for path in paths if path.is_file() and SHELL.match(path.read_bytes()[:60])]
    return [str(path.relative_to(ROOT)) for path in files]


def test_shellcheck_finds_nothing() -> None:
    found = scripts()
    assert len(found) > 20
    tool = Path(sys.executable).parent / "shellcheck"
    result = subprocess.run([str(tool), *found], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
