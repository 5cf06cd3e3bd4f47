"""What the tests of steps share: task files, a command line in a process of its own, and a look at processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import coditect

PACKAGE = Path(coditect.__file__).parents[1]


def write_tasks(folder: Path, text: str) -> Path:
    file = folder / "tasks.yaml"
    file.write_text(text)
    return file


def make_environment(folder: Path) -> dict[str, str]:
    """Without whatever the machine that runs the tests has set."""
    keep = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    return {**keep, "PYTHONPATH": str(PACKAGE)}


def start_run(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`coditect run` in a session of its own; not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "coditect", "run", *words],
        env=make_environment(folder), cwd=folder, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def is_alive(pid: int) -> bool:
    """A process that has ended and was not collected yet is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def make_fifo(folder: Path, name: str = "fifo") -> Path:
    """To wait for a step: who reads it waits until somebody writes."""
    fifo = folder / name
    os.mkfifo(fifo)
    return fifo


def read_pids(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()]
