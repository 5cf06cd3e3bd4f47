"""Which process made something, and whether it still lives. By Linux' /proc; elsewhere nothing is known.

The kernel uses process ids again: the moment of the start, the PID namespace and the boot tell two of them apart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
START_TIME: Final = 19  # field 22 of stat (proc(5)), counted behind the name


def this_process(proc: Path = PROC) -> str:
    """Its mark, for a label; empty where there is no /proc."""
    place, pid = _place(proc), os.getpid()
    return f"{place} {pid} {_start_time(proc, pid)}" if place else ""


def is_gone(mark: str, proc: Path = PROC) -> bool:
    """Whether the process of this mark has ended. False where that cannot be known: another machine or boot."""
    place, _, process = mark.partition(" ")
    pid, _, start = process.partition(" ")
    return bool(place) and place == _place(proc) and pid.isdigit() and _start_time(proc, int(pid)) != start


def _place(proc: Path) -> str:
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(proc / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start_time(proc: Path, pid: int) -> str:
    """In ticks after the boot; empty for a process that is not there, or only waits to be reaped."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[START_TIME - 1]
