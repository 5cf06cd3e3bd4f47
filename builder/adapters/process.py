"""Run a program of this machine and hear its output line by line; when we stop, so does everything it started.

Owns the life of a child process group (`become` has none: it is replaced). Knows nothing of what is run, and uses no
shell.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NoReturn

from builder.errors import HostError, Interrupted

OnLine = Callable[[str], None]
Stopped = Callable[[], bool]

POLL_S: Final = 0.25
MAX_LINE: Final = 16_384


def never() -> bool:
    """The `Stopped` of somebody who never wants to stop."""
    return False


def run_lines(
    argv: Sequence[str],
    *,
    on_line: OnLine,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stopped: Stopped = never,
    grace_s: float = 8.0,
) -> int:
    """Run `argv` to its end and return its exit code; stdout and stderr arrive together in `on_line`.

    The child leads a session of its own, so that a Ctrl-C reaches us first and its whole group is ended by us: it gets
    SIGTERM, then `grace_s` seconds to tidy up, then SIGKILL. Where we are killed, the kernel sends it SIGTERM. Raises
    HostError when the program cannot be started and Interrupted once `stopped()` turns true.
    """
    process = _start(argv, env, cwd)
    output = process.stdout
    if output is None:
        raise HostError("has no output to read", where=argv[0])
    with output:
        try:
            _pump(output, on_line, stopped)
            return process.wait()
        finally:
            _end_group(process, output, grace_s)


def become(argv: Sequence[str], *, hint: str) -> NoReturn:
    """Go on as `argv`, which takes over this terminal, its signals and our exit code. Raises HostError without it."""
    program = shutil.which(argv[0])
    if program is None:
        raise HostError(f"{argv[0]} is not installed on this machine", hint=hint)
    os.execv(program, list(argv))  # noqa: S606  # no shell: that is the point


def _start(argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[bytes]:
    if shutil.which(argv[0], path=None if env is None else env.get("PATH")) is None:
        raise HostError(f"cannot start {argv[0]}: there is no such program", where=argv[0], hint="install it")
    # prctl(2) in the child, before it becomes the program; a preexec_fn could not be had in a process with threads.
    tie = ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []  # util-linux: Linux has it
    try:
        return subprocess.Popen(
            [*tie, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(
            f"cannot start {argv[0]}: {error.strerror}",
            where=argv[0],
            hint="is it installed, and may you run it? `devbox doctor` names what is missing",
        ) from error


def _pump(stream: IO[bytes], on_line: OnLine, stopped: Stopped) -> None:
    rest = b""
    while True:
        if stopped():
            raise Interrupted("stopped on request")
        if not select.select([stream], [], [], POLL_S)[0]:
            continue
        chunk = os.read(stream.fileno(), 65_536)
        if not chunk:
            break
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            on_line(_text(line))
        rest = rest[-MAX_LINE:]
    if rest:
        on_line(_text(rest))


def _text(line: bytes) -> str:
    return line[:MAX_LINE].decode("utf-8", "replace").rstrip()


def _end_group(process: subprocess.Popen[bytes], output: IO[bytes], grace_s: float) -> None:
    """End what is left. After a normal end only stragglers of the group can be alive, and they have no claim to be.

    All of the group share `output`, so that its end tells when the last one has tidied up, not just the first.
    """
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        _drain(output, grace_s)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _drain(output: IO[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([output], [], [], left)[0] and not os.read(output.fileno(), 65_536):
            return


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # the group is empty, which is what was wanted
        os.killpg(group, number)
