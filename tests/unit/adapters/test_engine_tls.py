"""TLS to an engine: read and written at once, closed half by half."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from builder.adapters.certificates import ensure_own
from builder.adapters.engine.failures import explained
from builder.adapters.engine.host import EngineHost
from builder.adapters.engine.wire import open_socket
from builder.errors import LostEngineError

LONG = os.urandom(3 << 20)  # much more than all buffers on the way
Serve = Callable[[ssl.SSLSocket], None]
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def echo_what_was_said(wire: ssl.SSLSocket) -> None:
    """As `cat` over there: it answers while it still hears, and ends when the other side does."""
    while data := wire.recv(4096):
        wire.sendall(data)
    wire.sendall(b"the end")
    wire.unwrap()  # says so at once: its last words and its end come together


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    ensure_own(tmp_path, tmp_path / "tls.pem", ())
    return tmp_path


@pytest.fixture
def serve(certificates: Path) -> Iterator[Callable[[Serve, ssl.TLSVersion], EngineHost]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "tls.pem")
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(work: Serve, version: ssl.TLSVersion) -> EngineHost:
        context.minimum_version = context.maximum_version = version

        def run() -> None:
            wire, _ = listening.accept()
            # A client that would not have it is asked what it was told.
            with suppress(ssl.SSLError), context.wrap_socket(wire, server_side=True) as secured:
                work(secured)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        host, port = listening.getsockname()
        return EngineHost(url=f"tcp://{host}:{port}", source="test", tls=certificates)

    with listening:
        yield start
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_after_our_own_end_is_read(
    serve: Callable[[Serve, ssl.TLSVersion], EngineHost], version: ssl.TLSVersion
) -> None:
    with open_socket(serve(echo_what_was_said, version), 10) as wire:

        def say() -> None:
            wire.sendall(LONG)
            wire.shutdown(socket.SHUT_WR)

        saying = threading.Thread(target=say)
        saying.start()
        with wire.makefile("rb") as answer:
            assert answer.read() == LONG + b"the end"
        saying.join(10)


def test_the_other_side_is_told_when_it_is_closed_in_the_middle(
    serve: Callable[[Serve, ssl.TLSVersion], EngineHost],
) -> None:
    heard: list[bytes] = []
    ended = threading.Event()

    def listen(wire: ssl.SSLSocket) -> None:
        heard.append(wire.recv(100))
        heard.append(wire.recv(100))
        ended.set()

    with open_socket(serve(listen, ssl.TLSVersion.TLSv1_3), 10) as wire:
        wire.sendall(b"hello")
    assert ended.wait(10)
    assert heard == [b"hello", b""]


def test_an_answer_that_does_not_come_is_a_time_out(serve: Callable[[Serve, ssl.TLSVersion], EngineHost]) -> None:
    with open_socket(serve(assert_end, ssl.TLSVersion.TLSv1_3), 0.2) as wire, pytest.raises(TimeoutError):
        wire.recv(1)


def assert_end(wire: ssl.SSLSocket) -> None:
    assert wire.recv(1) == b""


def test_a_certificate_of_somebody_else_is_refused(
    serve: Callable[[Serve, ssl.TLSVersion], EngineHost], tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = serve(assert_end, ssl.TLSVersion.TLSv1_3)
    other = tmp_path_factory.mktemp("other")
    ensure_own(other, other / "tls.pem", ())
    with pytest.raises(ssl.SSLCertVerificationError):
        open_socket(EngineHost(url=found.url, source="test", tls=other), 10)


def test_who_sends_to_an_engine_that_is_gone_is_told(serve: Callable[[Serve, ssl.TLSVersion], EngineHost]) -> None:
    """At once: what carries a build or a command has no time-out."""
    wire = open_socket(serve(lambda _: None, ssl.TLSVersion.TLSv1_3), 10)
    with wire, pytest.raises(OSError, match=r"Broken pipe|reset"):
        wire.sendall(LONG)


def send_rubbish(wire: ssl.SSLSocket) -> None:
    """As what stands between would, that changes a byte."""
    wire.sendall(wire.recv(10))
    socket.socket.sendall(wire, b"\x17\x03\x03\x00\x20" + bytes(32))  # below TLS


def hang_up_without_a_word(wire: ssl.SSLSocket) -> None:
    wire.sendall(wire.recv(10))


def reset(wire: ssl.SSLSocket) -> None:
    wire.recv(10)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("work", "said", "reason"),
    [
        (send_rubbish, b"half of it", "TLS: .*[Mm][Aa][Cc]"),
        (hang_up_without_a_word, b"half of it", "TLS: hung up"),
        (reset, b"", "reset by peer"),
    ],
)
def test_what_breaks_off_is_an_error_behind_what_came_before_and_no_ordinary_end(
    serve: Callable[[Serve, ssl.TLSVersion], EngineHost], work: Serve, said: bytes, reason: str, version: ssl.TLSVersion
) -> None:
    host = serve(work, version)
    with open_socket(host, 10) as wire, wire.makefile("rb") as answer:
        wire.sendall(b"half of it")
        assert answer.read(len(said)) == said
        with pytest.raises(LostEngineError, match=f"it: the connection to .* broke .*{reason}") as caught:
            read_one(answer, host)
        with pytest.raises(OSError, match=reason):
            wire.recv(1)
    assert (caught.value.where, caught.value.exit_code) == ("test", 5)
    assert "run the same command again" in (caught.value.hint or "")


def read_one(answer: BinaryIO, host: EngineHost) -> None:
    with explained("running it", host):
        answer.read(1)
