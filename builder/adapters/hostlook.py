"""What `doctor` looks at on this machine besides the engine: the disk, the day, and whether PyPI answers.

PyPI is asked by pip, which knows its index; no host name is known to us. npm is not asked: it runs in a build stage
only, and a host need not have it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Final

DEADLINE_S: Final = 20
GIGABYTE: Final = 1e9
# A small package that will be there as long as the registry is.
PROBE_PACKAGE: Final = "pip"


def look_at_disk(folder: Path) -> float:
    """Free gigabytes where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / GIGABYTE


def look_at_day() -> date:
    """Of this machine, where a person lives with it."""
    return datetime.now().astimezone().date()


def look_at_registries() -> dict[str, str | None]:
    """Name -> None where it answers, else the last line of what the client said."""
    return {"PyPI": _ask([sys.executable, "-m", "pip", "index", "versions", PROBE_PACKAGE])}


def _ask(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {DEADLINE_S} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
