"""The bench's web socket, against a server that spreads its bytes as awkwardly as it may."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from bench.websocket import WebSocketStream

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
LARGE = bytes(range(256)) * 300


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def _open(server: socket.socket, first: bytes) -> tuple[WebSocketStream, socket.socket]:
    """A stream, and the server's end of it after the upgrade, with `first` sent in the same breath."""

    def serve() -> socket.socket:
        line, _ = server.accept()
        line.recv(4096)
        line.sendall(first)
        return line

    with ThreadPoolExecutor(max_workers=1) as pool:
        served: Future[socket.socket] = pool.submit(serve)
        stream = WebSocketStream("127.0.0.1", server.getsockname()[1], "/websockify", 5)
        return stream, served.result()


def test_frames_run_together_and_pings_are_passed_over(server: socket.socket) -> None:
    frames = b"\x82\x03RFB" + b"\x89\x02hi" + b"\x82\x7f" + len(LARGE).to_bytes(8, "big") + LARGE
    stream, line = _open(server, ANSWER + frames[:4])
    with closing(stream), line:
        line.sendall(frames[4:])
        line.close()
        data = b""
        while part := stream.recv(1000):
            data += part
    assert data == b"RFB" + LARGE


def test_nothing_there_yet_is_a_time_out_and_not_the_end(server: socket.socket) -> None:
    stream, line = _open(server, ANSWER + b"\x82")
    with closing(stream), line:
        stream.settimeout(0)
        with pytest.raises(BlockingIOError):
            stream.recv(10)
        stream.settimeout(5)
        line.sendall(b"\x02ok")
        assert stream.recv(10) == b"ok"


def test_what_is_sent_is_masked(server: socket.socket) -> None:
    stream, line = _open(server, ANSWER)
    with closing(stream), line:
        stream.sendall(b"key")
        head, mask, body = line.recv(2), line.recv(4), line.recv(3)
    assert head == b"\x82\x83"
    assert bytes(byte ^ mask[index] for index, byte in enumerate(body)) == b"key"


def test_a_refusal_is_told(server: socket.socket) -> None:
    with pytest.raises(ConnectionError, match="403"):
        _open(server, b"HTTP/1.1 403 Forbidden\r\n\r\n")
