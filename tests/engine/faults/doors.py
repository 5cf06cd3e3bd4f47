"""Things outside of devbox that can be broken: sockets, servers, disks, and a build step that waits."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engine.addresses import find_gateway
from tests.engine.listeners import Listener, Quiet, serve

if TYPE_CHECKING:
    from tests.engine.faults.scene import Scene

WAIT_S = 120.0


# ------------------------------------------------------------------------------------------------------ sockets


@contextmanager
def unix_socket(folder: Path, *, listens: bool = True) -> Iterator[Path]:
    """One that accepts connections, and that is all; or the file of a server that was killed."""
    path = folder / "door.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        if listens:
            server.listen(16)
        try:
            yield path
        finally:
            path.unlink()


@contextmanager
def busy_port(*, listens: bool = True) -> Iterator[int]:
    """A port of this machine that this process holds; where it does not listen, nobody else can meanwhile."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(1)
        yield server.getsockname()[1]


# ------------------------------------------------------------------------------------------------------ servers


def answering(code: int, text: str = "", **headers: str) -> Callable[[Listener], type[Quiet]]:
    """A server that says the same to every question."""

    def make(listener: Listener) -> type[Quiet]:
        class Handler(Quiet):
            def do_GET(self) -> None:  # noqa: N802  # the name is http.server's
                listener.seen.append((self.path, ""))
                self.answer(code, text, **headers)

            do_HEAD = do_POST = do_GET  # noqa: N815  # the names are http.server's

        return Handler

    return make


def pages(found: Mapping[str, bytes]) -> Callable[[Listener], type[Quiet]]:
    """A server that has these, by path, and nothing else."""

    def make(listener: Listener) -> type[Quiet]:
        class Handler(Quiet):
            def do_GET(self) -> None:  # noqa: N802  # the name is http.server's
                listener.seen.append((self.path, ""))
                body = found.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815  # the name is http.server's

        return Handler

    return make


@contextmanager
def tls_server(address: str, folder: Path) -> Iterator[int]:
    """A server with a certificate that nobody signed."""
    words = [
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ),
        *("-days", "2", "-subj", "/CN=index", "-addext", f"subjectAltName=IP:{address}"),
        *("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")),
    ]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    ended = threading.Event()
    with socket.create_server((address, 0)) as server:
        server.settimeout(0.1)

        def greet() -> None:
            while not ended.is_set():
                try:
                    near, _ = server.accept()
                    near.settimeout(5)
                    with context.wrap_socket(near, server_side=True) as secure:
                        secure.recv(1)
                except OSError:  # nobody came, or one that does not trust us
                    continue

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


# ------------------------------------------------------------------------------------------------ a step that waits

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "stub"
version = "1"
"""
# A build back end that needs nothing from the network: what it does is the fault, or waits for it.
BACKEND = """\
import socket, sys, zipfile

def get_requires_for_build_wheel(settings=None):
    return []

def build_wheel(folder, settings=None, metadata=None):
{body}
    info = "stub-1.dist-info"
    files = {{
        "stub.py": "def main(): print('there')\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: stub\\nVersion: 1\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: stub\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        info + "/entry_points.txt": "[console_scripts]\\nstub = stub:main\\n",
    }}
    with zipfile.ZipFile(folder + "/stub-1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(info + "/RECORD", "".join(name + ",,\\n" for name in [*files, info + "/RECORD"]))
    return "stub-1-py3-none-any.whl"
"""
FRAMEWORK = "framework: {path: ./stub}\n"
# Waits as long as somebody at the other end holds the connection; where nobody is, it goes on at once.
WAITS = """\
    try:
        with socket.create_connection(({address!r}, {port}), 5) as held:
            held.sendall(b"here")
            held.recv(1)
    except OSError:
        pass
"""


@contextmanager
def project(scene: Scene, body: str = "    pass\n", *, name: str = "stub") -> Iterator[Path]:
    """A small Python project in the workspace, for `framework`."""
    folder = scene.subject.folder / name
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND.format(body=body))
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            path.chmod(0o600)
            path.unlink()
        folder.rmdir()


@dataclass(slots=True)
class Hold:
    """The other end of a build step that waits. `arrived` and `left` are what the step does, not what is said of it."""

    server: socket.socket
    held: list[socket.socket] = field(default_factory=list)

    def arrived(self) -> None:
        """Wait until the step is there; from then on it waits for us."""
        self.server.settimeout(WAIT_S)
        near, _ = self.server.accept()
        near.settimeout(WAIT_S)
        assert near.recv(4) == b"here"
        self.held.append(near)

    def left(self) -> None:
        """Wait until the step has ended, which the engine does to it."""
        for near in self.held:
            try:
                assert near.recv(1) == b""
            except ConnectionResetError:
                continue

    def release(self) -> None:
        """Nobody waits any more, neither this step nor the next one."""
        for near in self.held:
            near.close()
        self.held.clear()
        self.server.close()


@contextmanager
def waiting_step(scene: Scene) -> Iterator[Hold]:
    """A devbox.yaml whose image has a step that waits for us. After `release` the same build goes through."""
    address = find_gateway(scene.api)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, 0)))
        hold = Hold(server=server)
        stack.callback(hold.release)
        body = WAITS.format(address=address, port=server.getsockname()[1])
        stack.enter_context(project(scene, body))
        stack.enter_context(scene.configured(FRAMEWORK))
        scene.built.add(json.loads(scene.subject.ok("plan", "--json"))["image"])
        yield hold


# -------------------------------------------------------------------------------------------------------- disks


@contextmanager
def full_disk(place: Path, *, free: int = 0) -> Iterator[None]:
    """A small file system over `place` with `free` bytes left on it; what was there comes back in the end."""
    place.mkdir(parents=True, exist_ok=True)
    with mounted(place, "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"):
        filler = place / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:  # that is the end that was looked for
                pass
        os.truncate(filler, filler.stat().st_size - free)
        yield


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """`place` with all that is in it, on a file system that takes no writes."""
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[None]:
    subprocess.run(["mount", *words, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


__all__ = ["serve"]
