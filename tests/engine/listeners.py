"""Scripted servers that see what devbox and the engine send: an HTTP proxy that asks for a password, a registry and a
download. Each remembers what it was told.
"""

from __future__ import annotations

import base64
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1 << 16
LOOKS = 10


@dataclass(slots=True)
class Listener:
    """What came, request by request: the path, and who asked (user:password, "" where nobody said)."""

    address: str
    port: int
    seen: list[tuple[str, str]] = field(default_factory=list)

    def asked(self, login: str) -> list[str]:
        return [path for path, who in self.seen if who == login]


def login_of(header: str | None) -> str:
    kind, _, value = (header or "").partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else ""


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, code: int, text: str = "", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serve(address: str, make: Callable[[Listener], type[Quiet]]) -> Iterator[Listener]:
    listener = Listener(address=address, port=0)
    server = ThreadingHTTPServer((address, 0), make(listener))
    server.daemon_threads = True
    listener.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()


def registry(listener: Listener) -> type[Quiet]:
    """A registry for images that wants a login, has nothing, and takes nothing."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            who = login_of(self.headers["Authorization"])
            listener.seen.append((self.path, who))
            self.answer(404, "{}") if who else self.answer(401, "{}", WWW_Authenticate='Basic realm="canary"')

        do_HEAD = do_GET  # noqa: N815  # the name is http.server's

        def do_POST(self) -> None:
            """A layer is brought."""
            listener.seen.append((self.path, login_of(self.headers["Authorization"])))
            self.answer(403, '{"errors": [{"code": "DENIED", "message": "read only"}]}')

    return Handler


def download(listener: Listener) -> type[Quiet]:
    """A server for archives that gives nothing out."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            listener.seen.append((self.path, ""))
            self.answer(403)

        do_HEAD = do_GET  # noqa: N815  # the name is http.server's

    return Handler


def proxy(login: str, hosts: tuple[str, ...]) -> Callable[[Listener], type[Quiet]]:
    """A forward proxy for `login` only. It has no other side for `hosts`, and answers 404 for them itself."""

    def make(listener: Listener) -> type[Quiet]:
        class Handler(Quiet):
            def _admit(self) -> bool:
                who = login_of(self.headers["Proxy-Authorization"])
                listener.seen.append((self.path, who))
                if who != login:
                    self.answer(407, Proxy_Authenticate='Basic realm="canary"')
                return who == login

            def do_CONNECT(self) -> None:
                if not self._admit():
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), 20) as far:
                    self.send_response(200)
                    self.end_headers()
                    pump(self.connection, far)
                self.close_connection = True

            def do_GET(self) -> None:
                if not self._admit():
                    return
                parts = urlsplit(self.path)
                if parts.hostname in hosts:
                    listener.seen.append((self.path, login_of(self.headers["Authorization"])))
                    self.answer(404)
                    return
                with socket.create_connection((str(parts.hostname), parts.port or 80), 20) as far:
                    kept = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
                    lines = [f"{name}: {value}" for name, value in {**kept, "Connection": "close"}.items()]
                    target = self.path.partition(parts.netloc)[2] or "/"
                    far.sendall("\r\n".join([f"{self.command} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1"))
                    pump(self.connection, far)
                self.close_connection = True

            do_HEAD = do_GET  # noqa: N815  # the name is http.server's

        return Handler

    return make


def pump(near: socket.socket, far: socket.socket) -> None:
    """Bytes both ways until the far side ends."""
    both = [near, far]
    while far in both:
        for ready in select.select(both, [], [], 60)[0] or [far]:
            data = b""
            with suppress(OSError):
                data = ready.recv(CHUNK)
            other = far if ready is near else near
            if not data:
                both.remove(ready)
                with suppress(OSError):
                    other.shutdown(socket.SHUT_WR)
                continue
            with suppress(OSError):
                other.sendall(data)


# ------------------------------------------------------------------------------------------------------ processes


@dataclass(slots=True)
class Watch:
    """Command lines of this machine, and environments of processes in containers, as far as they were caught."""

    arguments: set[bytes] = field(default_factory=set)
    environments: set[bytes] = field(default_factory=set)
    contained: set[bytes] = field(default_factory=set)  # command lines inside containers


@contextmanager
def watch_processes() -> Iterator[Watch]:
    """Look at every process, again and again, until the end. Needs root to see into containers."""
    found, ended = Watch(), threading.Event()
    ours = Path("/proc/self/ns/pid").readlink()
    looks: Counter[str] = Counter()  # a process is what it is after its first moments

    def look(folder: Path) -> None:
        line = (folder / "cmdline").read_bytes()
        found.arguments.add(line)
        if (folder / "ns/pid").readlink() != ours:
            found.contained.add(line)
            found.environments.add((folder / "environ").read_bytes())

    def watch() -> None:
        while not ended.wait(0.02):
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit() and looks[folder.name] < LOOKS:
                    looks[folder.name] += 1
                    with suppress(OSError):  # it ended meanwhile
                        look(folder)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
