"""Many commands inside a container for the price of one exec.

An exec costs the engine some 50 ms of processor time and they do not overlap (20.10: containerd, a shim, runc). Here
one exec per user runs `errand_runner`, which starts each command as its child in 2 ms. A command sees what an exec
would give it: user, rights, environment, working folder, no terminal. Must not know which commands.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from builder.adapters.engine.wire import frames, lines
from builder.errors import EngineError
from builder.model import EMPTY, ExecResult

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine
    from builder.adapters.engine.wire import Hijacked

PYTHON: Final = ("/usr/bin/python3", "-ISE", "-c")  # the probe's
OPEN_S: Final = 20.0


class Commands(Protocol):
    """What runs a command inside a container: an engine, or `Errands`."""

    def run(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] = EMPTY,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> ExecResult: ...


class Errands:
    """A runner per container and user, started when it is first wanted. `close` ends them all."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._runners: dict[tuple[str, str], _Runner] = {}

    def run(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] = EMPTY,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> ExecResult:
        """As `Engine.run`, but `timeout_s` bounds the whole. Raises EngineError likewise.

        Where no runner starts, an exec of its own runs the command, or says why it cannot.
        """
        runner = self._find_runner(container, user)
        if runner is None:
            return self._engine.run(container, argv, user=user, env=env, stdin=stdin, timeout_s=timeout_s)
        return runner.run(argv, env, stdin, timeout_s)

    def _find_runner(self, container: str, user: str) -> _Runner | None:
        with self._lock:
            runner = self._runners.get((container, user))
            if runner is None or runner.ended:
                runner = _Runner(self._engine, container, user)
                self._runners[container, user] = runner
            return None if runner.ended else runner

    def close(self) -> None:
        """End the runners, and what still runs of theirs. The next command starts a new one."""
        with self._lock:
            runners, self._runners = tuple(self._runners.values()), {}
        for runner in runners:
            runner.close()


class _Runner:
    """One exec of `errand_runner`, and a thread that hands its answers to who waits for them."""

    def __init__(self, engine: Engine, container: str, user: str) -> None:
        self.ended = False
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Mapping[str, Any]]] = {}
        self._stack = ExitStack()
        self._where = container
        program = Path(__file__).with_name("errand_runner.py").read_text(encoding="utf-8")
        try:
            self._wire = self._stack.enter_context(engine.converse(container, (*PYTHON, program), user=user))
        except EngineError:
            self.ended = True  # an exec of its own will say why
            return
        self._greeted = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._wire,), daemon=True)
        self._reader.start()
        if not self._greeted.wait(OPEN_S) or self.ended:
            self.close()

    def run(self, argv: Sequence[str], env: Mapping[str, str], stdin: bytes, timeout_s: float | None) -> ExecResult:
        number, answer = next(self._numbers), Future[Mapping[str, Any]]()
        errand = {"id": number, "argv": list(argv), "env": dict(env), "stdin": base64.b64encode(stdin).decode()}
        with self._lock:
            if self.ended:
                raise self._broken()
            self._waiting[number] = answer
            self._ask(errand)
        try:
            told = answer.result(timeout_s)
        except FutureTimeout as error:
            raise EngineError(
                f"{argv[0]} did not end within {timeout_s:g} s",
                hint="the workstation is busy or hangs: `devbox exec -- top -bn1` shows at what",
            ) from error
        return ExecResult(
            code=int(told["code"]), stdout=base64.b64decode(told["stdout"]), stderr=base64.b64decode(told["stderr"])
        )

    def close(self) -> None:
        self.ended = True
        with suppress(OSError):  # it may have ended first
            self._wire.socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(OPEN_S)
        self._stack.close()

    def _ask(self, errand: Mapping[str, object]) -> None:
        try:
            self._wire.socket.sendall(json.dumps(errand).encode() + b"\n")
        except OSError as error:
            raise self._broken() from error

    def _read(self, wire: Hijacked) -> None:
        try:
            for line in lines(data for stream, data in frames(wire.response.read) if stream == "stdout"):
                if not self._take(line):
                    break
        except OSError:  # closed, by us or by the container's end
            pass
        finally:
            self._end()

    def _take(self, line: bytes) -> bool:
        """One line of the runner; False for what is none of its, such as the engine's "no such file"."""
        try:
            told = json.loads(line)
        except ValueError:
            return False
        if "id" not in told:
            self._greeted.set()
            return True
        with self._lock:
            waiting = self._waiting.pop(told["id"])
        waiting.set_result(told)
        return True

    def _end(self) -> None:
        with self._lock:
            self.ended = True
            left = tuple(self._waiting.values())
            self._waiting.clear()
        self._greeted.set()
        for one in left:
            one.set_exception(self._broken())

    def _broken(self) -> EngineError:
        return EngineError(f"the connection into {self._where} broke off", hint="`devbox status` says whether it runs")
