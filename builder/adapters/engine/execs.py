"""Commands inside a running container: collected, streamed, or with this terminal attached.

Must not know which commands: argv lists come in, bytes and exit codes go out.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import Final

from builder.adapters.clock import wait_for
from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.terminal import LocalTerminal
from builder.adapters.engine.wire import Frame, Hijacked, frames, hijack, lines
from builder.errors import CommandError, EngineError
from builder.model import EMPTY, ExecResult

REFUSAL: Final = b"OCI runtime exec failed"  # what the engine writes into the stream of a command that it cannot start


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
            raise EngineError(
                f"{argv[0]} cannot be run in {container}",
                detail=complaint.decode(errors="replace"),
                hint="if somebody changed files of the system inside, `devbox up --recreate` starts afresh",
            )

    def pour(
        self,
        container: str,
        argv: Sequence[str],
        chunks: Iterable[bytes],
        *,
        user: str = "",
        workdir: str | None = None,
    ) -> ExecResult:
        """Run `argv` with `chunks` as its stdin, as they come. A command that fails before it has read them all ends
        the pouring; one that ends well and has not had them all was cut off. What the iterable raises ends the
        command's stdin, and comes through."""
        command = _Command(argv=argv, user=user, workdir=workdir, stdin=True)
        exec_id = self._create_exec(container, command)
        written: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        broken: list[Exception] = []
        refused: OSError | None = None

        def collect() -> None:
            try:
                for stream, data in frames(wire.response.read):
                    written[stream].append(data)
            except (OSError, HTTPException, ValueError) as error:  # the last one where the wire is closed meanwhile
                broken.append(error)

        with self._started(exec_id, command, None) as wire:
            reader = threading.Thread(target=collect, daemon=True)
            reader.start()
            for chunk in chunks:
                try:
                    wire.socket.sendall(chunk)
                except OSError as error:  # it ended first: its exit code says why, and what is unread resets the wire
                    refused = error
                    break
            with suppress(OSError):
                wire.socket.shutdown(socket.SHUT_WR)
            reader.join()
            if broken and refused is None:
                raise broken[0]
            code = self._exit_code(exec_id)
            if refused is not None and code == 0:
                raise refused
        return ExecResult(code=code, stdout=b"".join(written["stdout"]), stderr=b"".join(written["stderr"]))

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
        Without one (a pipe): bytes are passed through and the end of stdin is passed on. Raises CommandError for a
        command that cannot be started.
        """
        local = terminal or LocalTerminal()
        command = _Command(argv=argv, user=user, env=environment, workdir=workdir, stdin=True, tty=local.is_terminal)
        exec_id = self._create_exec(container, command)
        with (
            self._started(exec_id, command, None) as wire,
            local.attached(wire.socket, partial(self.resize_exec, exec_id)),
        ):
            refusal = self._show(wire, local, command.tty)
        code, started = self._outcome(exec_id)
        if refusal and not started:
            raise _not_started(argv[0], refusal)
        local.write("stdout", refusal)
        return code

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
            yield from _read_terminal(wire)

    def _show(self, wire: Hijacked, local: LocalTerminal, tty: bool) -> bytes:
        """Pass on what the command writes. What begins as the engine's words for one that it could not start is held
        back and returned: the exit code tells whose words they are."""
        held, begun = b"", False
        for stream, data in _read_terminal(wire) if tty else frames(wire.response.read):
            if held or (not begun and data.startswith(REFUSAL)):
                held += data
            else:
                local.write(stream, data)
            begun = True
        return held

    def resize_exec(self, exec_id: str, rows: int, columns: int) -> None:
        with self.asking("cannot tell the new size of the terminal"):
            self._api.exec_resize(exec_id, height=rows, width=columns)

    def _exit_code(self, exec_id: str) -> int:
        return self._outcome(exec_id)[0]

    def _outcome(self, exec_id: str) -> tuple[int, bool]:
        """The exit code, and whether there was a process at all: the engine knows no number of one that it could not
        start. The stream can end a moment before the engine has written that down."""

        def look() -> tuple[int, bool] | None:
            with self.asking("cannot read the exit code"):
                answer = self._api.exec_inspect(exec_id)
            if answer["Running"] or answer["ExitCode"] is None:
                return None
            return int(answer["ExitCode"]), answer["Pid"] != 0

        return wait_for("the exit code of a command", look, deadline_s=10, interval_s=0.01)


def _read_terminal(wire: Hijacked) -> Iterator[Frame]:
    while data := wire.response.read1(65536):
        yield "stdout", data


def _not_started(program: str, words: bytes) -> CommandError:
    text = words.decode(errors="replace").strip()
    if "not found" in text or "no such file" in text:
        return CommandError(
            f"there is no command {program} in the workstation",
            hint="`devbox shell` lets you look for it; `apt:` in devbox.yaml installs packages of the distribution",
        )
    return CommandError(
        f"{program} cannot be run in the workstation: {text.removesuffix(': unknown').rpartition(': ')[2]}",
        hint="it has to be a program, or a script with `#!` in its first line, that your user may execute; "
        "`devbox status` says whether no more processes can be started",
    )


def _feed(wire: socket.socket, data: bytes) -> None:
    """Write stdin beside the reading, then say that it ends. A command that does not read it all is no error."""
    try:
        wire.sendall(data)
        wire.shutdown(socket.SHUT_WR)
    except OSError:  # it ended first, and the connection with it
        return
