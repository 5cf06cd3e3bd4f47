"""An engine that answers what a test tells it, on a unix socket: for failures that a real one cannot show on demand."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Answer = Callable[[socket.socket, str], None]  # gets the connection and the request line
VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}


def reply(value: object, status: str = "200 OK") -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(*messages: object) -> bytes:
    parts = [json.dumps(message).encode() + b"\r\n" for message in messages]
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


@contextmanager
def scripted_engine(folder: Path, answers: Mapping[str, bytes | Answer]) -> Iterator[dict[str, str]]:
    """Serve `answers` by a part of the request line, "/version" being there unless told otherwise.

    Yields the environment that leads to it.
    """
    path = folder / "engine.sock"
    script: dict[str, bytes | Answer] = {"/version": reply(VERSION), **answers}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_serve, args=(server, script), daemon=True).start()
        yield {"DOCKER_HOST": f"unix://{path}", "HOME": str(folder)}
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, script: dict[str, bytes | Answer]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # the test is over
            return
        threading.Thread(target=_answer, args=(connection, script), daemon=True).start()


def _answer(connection: socket.socket, script: dict[str, bytes | Answer]) -> None:
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                return
            request += data
        if b"chunked" in request:
            while not request.endswith(b"0\r\n\r\n"):
                request += connection.recv(65536)
        line = request.split(b"\r\n")[0].decode()
        answer = next((value for mark, value in script.items() if mark in line), reply({"message": line}, "404 No"))
        if isinstance(answer, bytes):
            connection.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        else:
            answer(connection, line)
