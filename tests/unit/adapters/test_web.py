"""The web checks against a scripted server on loopback: what a browser would stumble over is named."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters.certificates import ensure_own
from builder.adapters.web import (
    WebPlace,
    WebProtocolError,
    WebRefusedError,
    WebTlsError,
    WebUnreachableError,
    check_page,
    check_websocket,
    offers_tls,
)
from builder.errors import NotReadyError

BANNER = b"RFB 003.008\n"
Answer = Callable[[socket.socket, bytes], None]
Serve = Callable[[Answer], int]


def read_head(link: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += link.recv(1)
    return head


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server for one connection; its port."""
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as link:
                link.settimeout(5)
                answer(link, read_head(link))

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port

    yield start
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def at(port: int) -> WebPlace:
    return WebPlace(host="127.0.0.1", port=port)


def replying(data: bytes) -> Answer:
    return lambda link, head: link.sendall(data)


def upgrade(link: socket.socket, head: bytes, *frames: bytes) -> None:
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    digest = hashlib.sha1(lines[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324
    link.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: binary\r\nSec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    for frame in frames:
        link.sendall(frame)


def frame(payload: bytes, kind: int = 0x82) -> bytes:
    return bytes([kind, len(payload)]) + payload


class TestThePage:
    def test_a_page_that_is_there(self, serve: Serve) -> None:
        seen: list[bytes] = []

        def answer(link: socket.socket, head: bytes) -> None:
            seen.append(head)
            link.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<title>noVNC</title>")

        page = check_page(at(serve(answer)), "/vnc.html?a=1", 5)
        assert (page.status, page.content_type, page.body) == (200, "text/html", b"<title>noVNC</title>")
        assert seen[0].startswith(b"GET /vnc.html?a=1 HTTP/1.0\r\nHost: 127.0.0.1:")

    def test_the_body_ends_at_its_announced_length(self, serve: Serve) -> None:
        def answer(link: socket.socket, head: bytes) -> None:
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
            link.recv(1)

        assert check_page(at(serve(answer)), "/", 5).body == b"body"

    @pytest.mark.parametrize(
        ("answer", "status", "told"),
        [
            (b"HTTP/1.1 404 Not Found\r\n\r\n", 404, "answers 404"),
            (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", 302, "points to /login"),
        ],
    )
    def test_another_status_is_a_refusal(self, serve: Serve, answer: bytes, status: int, told: str) -> None:
        with pytest.raises(WebRefusedError, match=told) as caught:
            check_page(at(serve(replying(answer))), "/", 5)
        assert caught.value.status == status

    def test_nothing_listens(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(WebUnreachableError, match="refused") as caught:
                check_page(at(free.getsockname()[1]), "/", 1)
        assert isinstance(caught.value, NotReadyError)

    def test_a_hang_up_without_a_word(self, serve: Serve) -> None:
        with pytest.raises(WebUnreachableError, match="without an answer"):
            check_page(at(serve(lambda link, head: None)), "/", 5)

    def test_another_protocol_is_quoted(self, serve: Serve) -> None:
        with pytest.raises(WebProtocolError, match="SSH-2"):
            check_page(at(serve(replying(b"SSH-2.0-OpenSSH"))), "/", 5)

    def test_a_server_that_drips_is_given_up_in_time(self, serve: Serve) -> None:
        def drip(link: socket.socket, head: bytes) -> None:
            link.settimeout(0.05)
            for _ in range(30):
                try:
                    link.sendall(b"H")
                    if not link.recv(1):
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return

        begun = time.monotonic()
        with pytest.raises(WebUnreachableError, match="no complete answer"):
            check_page(at(serve(drip)), "/", 0.3)
        assert time.monotonic() - begun < 1.2


class TestTheWebSocket:
    def test_the_banner_comes_through(self, serve: Serve) -> None:
        heads: list[bytes] = []
        closed: list[bytes] = []

        def answer(link: socket.socket, head: bytes) -> None:
            heads.append(head)
            upgrade(link, head, frame(BANNER))
            closed.append(link.recv(8))

        door = check_websocket(at(serve(answer)), "/websockify", "http://box", 5)
        assert (door.subprotocol, door.banner) == ("binary", BANNER)
        assert b"\r\nOrigin: http://box\r\n" in heads[0]
        for _ in range(100):
            if closed:
                break
            time.sleep(0.02)
        mask = closed[0][2:6]
        assert closed[0][:2] == b"\x88\x82"
        assert bytes(byte ^ mask[index] for index, byte in enumerate(closed[0][6:])) == struct.pack(">H", 1000)

    def test_a_banner_in_pieces_with_a_ping_between(self, serve: Serve) -> None:
        pieces = (frame(BANNER[:5], 0x02), frame(b"hi", 0x89), frame(BANNER[5:], 0x80))
        port = serve(lambda link, head: upgrade(link, head, *pieces))
        assert check_websocket(at(port), "/", timeout=5).banner == BANNER

    def test_a_refused_upgrade_tells_its_status(self, serve: Serve) -> None:
        port = serve(replying(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
        with pytest.raises(WebRefusedError) as caught:
            check_websocket(at(port), "/", "http://evil", 5)
        assert caught.value.status == 403

    def test_a_wrong_accept_is_no_web_socket(self, serve: Serve) -> None:
        port = serve(replying(b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: abc=\r\n\r\n"))
        with pytest.raises(WebProtocolError, match="Accept"):
            check_websocket(at(port), "/", timeout=5)

    @pytest.mark.parametrize(
        ("frames", "told"),
        [
            (frame(b"\x03\xf3no backend", 0x88), "no backend"),
            (frame(b"SSH-2.0-OpenSSH"), "does not lead to a VNC server"),
            (frame(b"RFB 003.003\n" + struct.pack(">II", 0, 8) + b"Too many"), "turns us away: Too many"),
            (b"\x82\x8cmaskRFB 003.008\n", "breaks RFC 6455"),
            (b"\x82\x7f" + struct.pack(">Q", 1 << 40), "breaks RFC 6455"),
        ],
    )
    def test_what_is_not_vnc_is_named(self, serve: Serve, frames: bytes, told: str) -> None:
        port = serve(lambda link, head: upgrade(link, head, frames))
        with pytest.raises(WebProtocolError, match=told):
            check_websocket(at(port), "/", timeout=5)

    def test_silence_after_the_upgrade_is_given_up_in_time(self, serve: Serve) -> None:
        def answer(link: socket.socket, head: bytes) -> None:
            upgrade(link, head)
            link.recv(1)

        with pytest.raises(WebUnreachableError, match=r"within 0\.3 s"):
            check_websocket(at(serve(answer)), "/", timeout=0.3)

    def test_a_hang_up_after_the_upgrade(self, serve: Serve) -> None:
        with pytest.raises(WebUnreachableError, match="in the middle"):
            check_websocket(at(serve(lambda link, head: upgrade(link, head))), "/", timeout=5)


class TestTls:
    def test_a_server_without_tls_is_named_so(self, serve: Serve) -> None:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as link:
                link.recv(1)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                link.recv(1 << 16)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        place = replace(at(listener.getsockname()[1]), tls=ssl.create_default_context(), name="localhost")
        with pytest.raises(WebTlsError, match="does not speak TLS with us") as caught:
            check_page(place, timeout=5)
        assert not caught.value.alert
        thread.join(5)

    @pytest.mark.parametrize(("least", "offered"), [(ssl.TLSVersion.TLSv1, True), (ssl.TLSVersion.TLSv1_2, False)])
    def test_a_server_that_would_speak_old_tls_is_found_out(
        self, tmp_path: Path, least: ssl.TLSVersion, *, offered: bool
    ) -> None:
        ensure_own(tmp_path / "authority", tmp_path / "tls.pem", ())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(tmp_path / "tls.pem")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = least
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as link, contextlib.suppress(OSError):
                context.wrap_socket(link, server_side=True)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert offers_tls(at(listener.getsockname()[1]), ssl.TLSVersion.TLSv1_1) is offered
        thread.join(5)

    def test_an_address_of_ipv6_stands_in_brackets(self) -> None:
        assert WebPlace(host="::1", port=6080).origin == "http://[::1]:6080"
