"""Processes and their groups: starting one in a group of its own, finding what is left of it, sending signals.

Each process leads its own session and group, without a terminal and without input. Ctrl-C on the terminal therefore
reaches only us. What leaves the group (a daemon) is found by a mark in its environment, where there is /proc.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

# Environment variable that holds the mark. A run inside a step appends its own to what it finds.
MARK: Final = "CODITECT_RUN"
PROC: Final = Path("/proc")


class Child(Protocol):
    """A started process, as its parent sees it."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    def wait(self) -> object:
        """Until it has ended."""


def spawn_command(argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, output: int) -> Child:
    """Start a program. Raises OSError."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )


class _Forked:
    """A function in a forked process."""

    def __init__(self, function: Callable[[], object], env: Mapping[str, str], cwd: Path | None, output: int) -> None:
        import multiprocessing  # takes 10 ms, which only who has functions pays

        self._process = multiprocessing.get_context("fork").Process(
            target=_call, args=(function, dict(env), cwd, output)
        )
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> None:
        self._process.join()


def spawn_function(function: Callable[[], object], env: Mapping[str, str], cwd: Path | None, output: int) -> Child:
    """Call a function in a forked process."""
    return _Forked(function, env, cwd, output)


def _call(function: Callable[[], object], env: dict[str, str], cwd: Path | None, output: int) -> None:
    """In the new process: make it what a started program would be, then call."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    function()


def open_exit(child: Child) -> int:
    """A file descriptor that becomes readable when the process ends. Who asks closes it."""
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):  # a kernel before 5.3
            return os.pidfd_open(child.pid)
    ours, theirs = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(theirs)

    threading.Thread(target=wait, daemon=True).start()
    return ours


def signal_group(group: int, signum: int) -> bool:
    """Whether there was anything to send it to. Processes of another user (sudo) cannot be reached, and are left."""
    try:
        os.killpg(group, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def group_lives(group: int) -> bool:
    """Whether a process of the group still runs; one that has ended and only was not collected does not count."""
    if not signal_group(group, 0):
        return False
    if not PROC.joinpath("self", "stat").exists():
        return True
    return any(state not in "ZX" and of_group == group for state, of_group in _read_states())


def _read_states() -> Iterator[tuple[str, int]]:
    """State and group of every process."""
    for pid in _pids():
        with suppress(OSError):  # it has just ended
            words = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
            yield words[0].decode(), int(words[2])


def find_marked(mark: str) -> list[int]:
    """Processes that carry the mark, and those of runs inside of them."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in _pids():
        with suppress(OSError):  # it has just ended, or belongs to somebody else
            variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
            if any(entry == wanted or entry.startswith(wanted + b":") for entry in variables):
                found.append(pid)
    return found


def signal_marked(mark: str, signum: int) -> bool:
    """Whether there was any."""
    found = find_marked(mark)
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)
    return bool(found)


def _pids() -> Iterator[int]:
    with suppress(FileNotFoundError):  # no /proc: not Linux
        for entry in os.scandir(PROC):
            if entry.name.isdigit():
                yield int(entry.name)
