"""Commands inside a running container: collected, streamed, or with this terminal attached.

Must not know which commands: argv lists come in, bytes and exit codes go out.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

from builder.adapters.clock import wait_for
from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.terminal import LocalTerminal
from builder.adapters.engine.wire import Frame, Hijacked, frames, hijack, lines
from builder.errors import EngineError
from builder.model import EMPTY, ExecResult


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """One exec, before it starts."""

    argv: Sequence[str]
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    stdin: bool = False
    tty: bool = False


class ExecVerbs(Connection):
    def run(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] = EMPTY,
        workdir: str | None = None,
        stdin: bytes = b"",
        tty: bool = False,
        timeout_s: float | None = None,
    ) -> ExecResult:
        """Run `argv` and collect what it writes. `timeout_s` bounds each silence, not the whole; None waits for ever.

        A command that cannot be started has the engine's usual codes, 126 or 127. Raises EngineError when the
        container does not run.
        """
        command = _Command(argv=argv, user=user, env=env, workdir=workdir, stdin=bool(stdin), tty=tty)
        written: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        exec_id = self._create_exec(container, command)
        for stream, data in self._run(exec_id, command, stdin, timeout_s):
            written[stream].append(data)
        return ExecResult(
            code=self._exit_code(exec_id), stdout=b"".join(written["stdout"]), stderr=b"".join(written["stderr"])
        )

    def run_frames(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] = EMPTY,
        workdir: str | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Frame]:
        """Run `argv` and yield ("stdout" | "stderr", bytes) as they come, last of all ("exit", b"<code>").

        Closing the iterator drops the connection; the command itself goes on until it writes or ends.
        """
        command = _Command(argv=argv, user=user, env=env, workdir=workdir)
        exec_id = self._create_exec(container, command)
        yield from self._run(exec_id, command, b"", timeout_s)
        yield "exit", str(self._exit_code(exec_id)).encode()

    def run_stream(self, container: str, argv: Sequence[str], *, user: str = "") -> Iterator[bytes]:
        """Run `argv` and yield the lines of its stdout as they come. Raises EngineError where it cannot be started."""
        code, complaint = b"", b""

        def output() -> Iterator[bytes]:
            nonlocal code, complaint
            for stream, data in self.run_frames(container, argv, user=user):
                match stream:
                    case "stdout":
                        yield data
                    case "stderr":
                        complaint = (complaint + data)[-2000:]
                    case _:
                        code = data

        yield from lines(output())
        if code in (b"126", b"127"):
            raise EngineError(f"{argv[0]} cannot be run in {container}", detail=complaint.decode(errors="replace"))

    @contextmanager
    def converse(self, container: str, argv: Sequence[str], *, user: str = "") -> Iterator[Hijacked]:
        """Run `argv` with its stdin and its multiplexed stdout and stderr on the socket that is handed over.

        The end of the block drops the connection, which the command sees as the end of its stdin.
        """
        command = _Command(argv=argv, user=user, stdin=True)
        with self._started(self._create_exec(container, command), command, None) as wire:
            yield wire

    def attach(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        workdir: str | None = None,
        environment: Mapping[str, str] = EMPTY,
        terminal: LocalTerminal | None = None,
    ) -> int:
        """Run `argv` with this process's stdin and stdout attached; its exit code.

        With a terminal on both ends: raw mode, window size kept in step, and the terminal restored whatever happens.
        Without one (a pipe): bytes are passed through and the end of stdin is passed on.
        """
        local = terminal or LocalTerminal()
        command = _Command(argv=argv, user=user, env=environment, workdir=workdir, stdin=True, tty=local.is_terminal)
        exec_id = self._create_exec(container, command)
        with (
            self._started(exec_id, command, None) as wire,
            local.attached(wire.socket, partial(self.resize_exec, exec_id)),
        ):
            self._show(wire, local, command.tty)
        return self._exit_code(exec_id)

    def _create_exec(self, container: str, command: _Command) -> str:
        with self.asking(f"cannot run {command.argv[0]} in {container}"):
            answer = self._api.exec_create(
                container,
                list(command.argv),
                user=command.user,
                environment=dict(command.env) or None,
                workdir=command.workdir,
                stdin=command.stdin,
                tty=command.tty,
            )
        return str(answer["Id"])

    @contextmanager
    def _started(self, exec_id: str, command: _Command, timeout_s: float | None) -> Iterator[Hijacked]:
        doing = f"running {command.argv[0]}"
        with self.asking(doing):
            body = {"Detach": False, "Tty": command.tty}
            wire = hijack(self.host, "POST", f"{self.prefix}/exec/{exec_id}/start", body, timeout_s=timeout_s)
            with closing(wire):
                if wire.response.status >= 400:
                    text = wire.response.read().decode(errors="replace")
                    raise answer_error(doing, wire.response.status, text, self.host)
                yield wire

    def _run(self, exec_id: str, command: _Command, stdin: bytes, timeout_s: float | None) -> Iterator[Frame]:
        with self._started(exec_id, command, timeout_s) as wire:
            if stdin:
                threading.Thread(target=_feed, args=(wire.socket, stdin), daemon=True).start()
            if not command.tty:
                yield from frames(wire.response.read)
                return
            while data := wire.response.read1(65536):
                yield "stdout", data

    def _show(self, wire: Hijacked, local: LocalTerminal, tty: bool) -> None:
        if tty:
            while data := wire.response.read1(65536):
                local.write("stdout", data)
            return
        for stream, data in frames(wire.response.read):
            local.write(stream, data)

    def resize_exec(self, exec_id: str, rows: int, columns: int) -> None:
        with self.asking("cannot tell the new size of the terminal"):
            self._api.exec_resize(exec_id, height=rows, width=columns)

    def _exit_code(self, exec_id: str) -> int:
        """The stream can end a moment before the engine has written the code down."""

        def look() -> int | None:
            with self.asking("cannot read the exit code"):
                answer = self._api.exec_inspect(exec_id)
            return None if answer["Running"] or answer["ExitCode"] is None else int(answer["ExitCode"])

        return wait_for("the exit code of a command", look, deadline_s=10, interval_s=0.01)


def _feed(wire: socket.socket, data: bytes) -> None:
    """Write stdin beside the reading, then say that it ends. A command that does not read it all is no error."""
    try:
        wire.sendall(data)
        wire.shutdown(socket.SHUT_WR)
    except OSError:  # it ended first, and the connection with it
        return
