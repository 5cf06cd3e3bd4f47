"""The process that keeps one connection to one machine: `python -m builder.adapters.remote.tunnel ADDRESS`.

Owns the connection, the engine's socket and the ports on this machine, and answers on its control socket. Until it is
connected it talks to who started it, over stdin and stdout (a JSON value a line): steps that are done, questions, and
at last `ready` or `failed`. It ends when it is told to, when nothing was carried for a while, or when trying again is
of no use.
"""

from __future__ import annotations

import fcntl
import ipaddress
import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import paramiko

from builder.adapters.clock import monotonic
from builder.adapters.remote.address import Address, Place, find_place, parse_address
from builder.adapters.remote.client import circle_error
from builder.adapters.remote.link import FORBIDDEN, Link, open_link
from builder.adapters.remote.listeners import Listener, listen_tcp, listen_unix
from builder.adapters.remote.login import Credentials
from builder.adapters.remote.sshconfig import find_target
from builder.adapters.remote.steps import Question, StepError, SubStep
from builder.adapters.remote.streams import join
from builder.errors import DevboxError

IDLE_S: Final = 900.0  # without a port, and without anybody on the engine's socket
HOLD_S: Final = 20.0  # so long a new connection waits for one that broke
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
JOIN_S: Final = 0.1  # between two looks whether a try ended, or it is to stop
MAX_REQUEST: Final = 1 << 16


class Tunnel:
    def __init__(self, address: Address, place: Place, environment: Mapping[str, str]) -> None:
        self._address = address
        self._place = place
        self._environment = environment
        self._credentials = Credentials()
        self._link: Link | None = None
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._began = time.time()
        self._used = monotonic()
        self._trouble = ""
        self._lost = 0
        self._ports: dict[tuple[str, int], tuple[Listener, tuple[str, int]]] = {}  # here -> listener, place there
        self._opening = threading.Lock()  # of a port
        self._unix: list[Listener] = []

    # ------------------------------------------------------------------------------------------- its life

    def connect(self, parent: Parent) -> None:
        """The first time, with the person there. Raises DevboxError."""
        target = find_target(self._address, self._environment)
        self._link = open_link(
            target, self._environment, ask=parent.ask, on_step=parent.tell, credentials=self._credentials
        )

    def listen(self) -> None:
        self._unix.append(listen_unix(self._place.engine, self._serve_engine))
        self._unix.append(listen_unix(self._place.control, self._serve_control))

    def run(self) -> None:
        """Until the end."""
        while not self._stopping.is_set() and not self._is_idle():
            link = self._link
            if link is None:
                self._reconnect()
                continue
            link.transport.join(link.target.alive_s)  # a connection that breaks aloud ends its thread at once
            patience_s = link.target.alive_s * link.target.patience
            if not self._stopping.is_set() and not (link.transport.is_alive() and link.is_alive(patience_s)):
                self._drop("the connection broke")
        self._end()

    def stop(self) -> None:
        self._stopping.set()
        if link := self._link:
            link.transport.close()
        with self._changed:
            self._changed.notify_all()

    def _is_idle(self) -> bool:
        if self._ports or any(listener.open for listener in self._unix):
            self._used = monotonic()
        return monotonic() - self._used > IDLE_S

    def _drop(self, trouble: str) -> None:
        link, self._link = self._link, None
        self._lost += 1
        self._trouble = trouble
        say(trouble)
        if link is not None:
            link.close()
        for listener in (self._unix[0], *self._doors()):
            listener.hang_up()

    def _reconnect(self) -> None:
        """Try again, ever more slowly, until it stands, nobody needs it, or it is of no use."""
        for pause in itertools.chain(BACK_OFF_S, itertools.repeat(BACK_OFF_S[-1])):
            if self._stopping.wait(pause) or self._is_idle():
                return
            trying = threading.Thread(target=self._try_again, daemon=True)  # a try takes longer than a stop may
            trying.start()
            while trying.is_alive() and not self._stopping.is_set():
                trying.join(JOIN_S)
            if self._link is not None:
                return

    def _try_again(self) -> None:
        """Nobody is there to be asked."""
        try:
            target = find_target(self._address, self._environment)
            link = open_link(
                target, self._environment, ask=lambda _: None, on_step=lambda _: None, credentials=self._credentials
            )
        except (paramiko.SSHException, DevboxError, OSError, EOFError) as error:
            if str(error) != self._trouble:  # once, not every half a minute
                say(str(error))
            self._trouble = str(error)
            if isinstance(error, StepError) and error.lasting:
                self._stopping.set()
            return
        if self._stopping.is_set():  # meanwhile
            link.close()
            return
        with self._changed:
            self._link, self._trouble = link, ""
            self._changed.notify_all()
        say("connected again")

    def _end(self) -> None:
        for listener in (*self._unix, *self._doors()):
            listener.close()
        if self._link is not None:
            self._link.close()
        for path in (self._place.engine, self._place.control):
            path.unlink(missing_ok=True)

    def _doors(self) -> list[Listener]:
        with self._opening:
            return [listener for listener, _ in self._ports.values()]

    # ---------------------------------------------------------------------------------------- what it carries

    def _wait_link(self) -> Link | None:
        with self._changed:
            self._changed.wait_for(lambda: self._link is not None or self._stopping.is_set(), HOLD_S)
            return self._link

    def _serve_engine(self, near: socket.socket) -> None:
        self._serve(near, "the engine", Link.open_engine)

    def _serve_port(self, near: socket.socket, there: tuple[str, int]) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._serve(near, f"port {there[1]} there", lambda link: link.open_port(*there))

    def _serve(self, near: socket.socket, what: str, open_far: Callable[[Link], paramiko.Channel]) -> None:
        if (link := self._wait_link()) is None:
            return
        try:
            far = open_far(link)
        except (paramiko.SSHException, OSError, EOFError) as error:
            say(f"{what} cannot be reached: {error}")
            return
        join(near, far)

    # ------------------------------------------------------------------------------------------- its control

    def _serve_control(self, near: socket.socket) -> None:
        with near.makefile("rwb") as wire:
            line = wire.readline(MAX_REQUEST)
            try:
                answer = self._answer(json.loads(line)) if line else {}
            except (ValueError, KeyError, TypeError) as error:
                answer = {"error": f"not understood: {error}"}
            wire.write(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        match request["do"]:
            case "status":
                return self._describe()
            case "forward":
                place = str(request["host"]), int(request["there"])
                return self._forward(str(request["address"]), int(request["here"]), place)
            case "drop":
                with self._opening:
                    found = self._ports.pop((str(request["address"]), int(request["here"])), None)
                if found:
                    found[0].close()
                return {"dropped": found is not None}
            case "look":
                return self._look(str(request["address"]), int(request["port"]))
            case "stop":
                threading.Thread(target=self.stop).start()  # after the answer
                return {"stopping": True}
        raise KeyError(request["do"])

    def _describe(self) -> Mapping[str, Any]:
        link = self._link
        return {
            "address": str(self._address),
            "state": "connected" if link is not None else "connecting",
            "trouble": self._trouble,
            "process": os.getpid(),
            "since": self._began,
            "lost": self._lost,
            "server": link.server if link else "",
            "dials": bool(link and link.dials),
            "facts": dict(link.facts) if link else {},
            "ports": [
                {"address": address, "here": here, "host": host, "there": there, "open": listener.open}
                for (address, here), (listener, (host, there)) in sorted(self._ports.copy().items())
            ],
        }

    def _forward(self, address: str, here: int, there: tuple[str, int]) -> Mapping[str, Any]:
        if not ipaddress.ip_address(address).is_loopback:  # the engine there says where: no door for others
            return {"error": f"{address} is no loopback address of this machine"}
        with self._opening:
            found = self._ports.get((address, here))
            if found is not None:
                return {"here": here, "new": False} if found[1] == there else {"taken": here}
            try:
                listener = listen_tcp(address, here, lambda near: self._serve_port(near, there))
            except OSError as error:
                return {"taken": here, "reason": error.strerror or str(error)}
            self._ports[address, here] = listener, there
            return {"here": here, "new": True}

    def _look(self, address: str, port: int) -> Mapping[str, Any]:
        """Whether a port is ours here, and whether somebody listens on it there."""
        if (link := self._wait_link()) is None:
            return {"error": self._trouble}
        ours = (address, port) in self._ports
        try:
            link.open_port(address, port).close()
        except paramiko.ChannelException as error:
            if error.code == FORBIDDEN:
                return {"error": "its SSH server forwards no ports: `AllowTcpForwarding yes` in its sshd_config"}
            return {"ours": ours, "there": False}
        except (paramiko.SSHException, OSError, EOFError) as error:
            return {"error": str(error)}
        return {"ours": ours, "there": True}


# ------------------------------------------------------------------------------------------------- who started it


class Parent:
    """The `devbox` that waits for the connection, over a pipe each way."""

    def tell(self, done: SubStep) -> None:
        self._write({"step": asdict(done)})

    def ask(self, question: Question) -> str | None:
        self._write({"ask": asdict(question)})
        line = sys.stdin.readline()
        answer = json.loads(line)["answer"] if line else None
        return None if answer is None else str(answer)

    def end(self, message: Mapping[str, Any]) -> None:
        """The last word; from now on nobody is there."""
        with suppress(BrokenPipeError):
            self._write(message)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)

    def _write(self, message: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def say(text: str) -> None:
    """Into the log, which is our stderr."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


def main(words: list[str]) -> int:
    address = parse_address(words[0], where="tunnel")
    place = find_place(address, os.environ)
    parent = Parent()
    with place.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parent.end({"busy": True})
            return 0
        place.circle.unlink(missing_ok=True)
        tunnel = Tunnel(address, place, os.environ)
        try:
            tunnel.connect(parent)
            tunnel.listen()
        except DevboxError as failure:
            # What was refused meanwhile is why; this is what became of it.
            error = circle_error(address) if place.circle.exists() else failure
            told = {"message": error.message, "where": error.where, "hint": error.hint, "detail": error.detail}
            parent.end({"failed": told, "step": getattr(failure, "step", "")})
            return error.exit_code
        signal.signal(signal.SIGTERM, lambda *_: tunnel.stop())
        say("connected")
        parent.end({"ready": True})
        tunnel.run()
        say("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
