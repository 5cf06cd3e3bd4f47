"""Commands by one runner: the runner itself is a child of this test, in the place of an exec's."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import pytest

from builder.adapters.engine.client import Engine
from builder.adapters.errands import Errands
from builder.errors import EngineError
from builder.model import ExecResult


class Wire:
    """What `Engine.converse` hands over, around a child's pipes: answers in the engine's frames."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin
        assert child.stdout
        self.child = child
        self.response = self
        self.socket = self
        self._answers = child.stdout
        self._errands = child.stdin
        self._left = b""

    def sendall(self, data: bytes) -> None:
        self._errands.write(data)
        self._errands.flush()

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_RDWR
        self._errands.close()

    def read(self, count: int) -> bytes:
        if not self._left and (line := self._answers.readline()):
            self._left = b"\1\0\0\0" + len(line).to_bytes(4, "big") + line
        taken, self._left = self._left[:count], self._left[count:]
        return taken


class FakeEngine:
    def __init__(self, *, python: str = sys.executable) -> None:
        self.python = python
        self.wires: list[Wire] = []
        self.execs: list[Sequence[str]] = []

    @contextmanager
    def converse(self, container: str, argv: Sequence[str], *, user: str) -> Iterator[Wire]:
        command = [self.python, *argv[1:]] if self.python else ["echo", "exec failed: no such file"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            self.wires.append(Wire(child))
            yield self.wires[-1]

    def run(self, container: str, argv: Sequence[str], **options: object) -> ExecResult:
        self.execs.append(argv)
        return ExecResult(code=0, stdout=b"by an exec", stderr=b"")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def errands(engine: FakeEngine) -> Iterator[Errands]:
    errands = Errands(cast("Engine", engine))
    yield errands
    errands.close()


def test_a_command_is_given_and_tells_bytes(errands: Errands) -> None:
    script = 'cat; echo "$WORD" >&2; exit 3'

    done = errands.run("c", ["sh", "-c", script], env={"WORD": "ünï"}, stdin=b"\0\xff\n")

    assert done == ExecResult(code=3, stdout=b"\0\xff\n", stderr="ünï\n".encode())


def test_many_commands_share_one_runner_and_run_side_by_side(errands: Errands, engine: FakeEngine) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: errands.run("c", ["echo", str(number)]).stdout, range(40)))

    assert told == [f"{number}\n".encode() for number in range(40)]
    assert len(engine.wires) == 1
    assert engine.execs == []


def test_a_code_is_that_of_a_shell(errands: Errands) -> None:
    commands = (["no-such-program"], ["/"], ["sh", "-c", "kill -9 $$"])

    assert [errands.run("c", argv).code for argv in commands] == [127, 126, 137]


def test_a_command_that_takes_too_long_is_an_error_and_ends_with_its_runner(errands: Errands) -> None:
    with pytest.raises(EngineError, match=r"did not end within 0\.1 s"):
        errands.run("c", ["sleep", "600.25"], timeout_s=0.1)
    errands.close()

    listed = subprocess.run(["pgrep", "-x", "-f", "sleep 600.25"], capture_output=True, check=False)
    assert listed.returncode == 1


def test_who_waits_is_told_when_the_runner_is_killed_and_the_next_gets_a_new_one(
    errands: Errands, engine: FakeEngine
) -> None:
    assert errands.run("c", ["true"]).code == 0
    threading.Timer(0.1, engine.wires[0].child.kill).start()

    with pytest.raises(EngineError, match="broke off"):
        errands.run("c", ["sleep", "1"])

    assert errands.run("c", ["true"]).code == 0
    assert len(engine.wires) == 2


def test_where_no_runner_starts_each_command_is_an_exec() -> None:
    engine = FakeEngine(python="")

    done = Errands(cast("Engine", engine)).run("c", ["true"])

    assert done.stdout == b"by an exec"
    assert engine.execs == [["true"]]


@pytest.mark.parametrize("argv", [["sh\0", "-c"], []])
def test_a_command_that_is_none_is_answered(errands: Errands, argv: list[str]) -> None:
    assert errands.run("c", argv, timeout_s=10).code == 126
