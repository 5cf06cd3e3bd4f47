"""The web bridge of the image, in this process: how a web socket ends (RFC 6455, 7.1), whichever side ends it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.catalogue.webdoor import load_webdoor, loopback_pair

MASK = b"\x01\x02\x03\x04"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
NORMAL = struct.pack(">H", 1000)
PATIENCE = 10  # seconds


@pytest.fixture(scope="module")
def web() -> ModuleType:
    return load_webdoor("websocket")


class Bridge:
    """A bridge between two pairs of sockets: `browser` and `vnc` are the far ends."""

    def __init__(self, web: ModuleType, throttle: object = None) -> None:
        self._guesses = web.Guesses(throttle or load_webdoor("rules").Throttle(), "somebody")
        self.browser, client = socket.socketpair()
        self.vnc, server = loopback_pair()
        for end in (self.browser, self.vnc):
            end.settimeout(PATIENCE)
        self._web, self._client, self._server = web, client, server
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # As `handle` does: these are the ordinary end of a connection.
        with self._client, self._server, contextlib.suppress(self._web.Gone, OSError):
            self._web.bridge(self._client, b"", self._server, self._guesses)

    def send(self, opcode: int, payload: bytes) -> None:
        """One masked frame of the browser, at most 125 bytes."""
        masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
        self.browser.sendall(struct.pack(">BB", 0x80 | opcode, 0x80 | len(payload)) + MASK + masked)

    def read_frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next short frame; (0, b"") at the end of the connection."""
        head = self.browser.recv(2)
        return (head[0] & 15, self.browser.recv(head[1] & 127)) if head else (0, b"")

    def read_rest(self) -> list[int]:
        """The opcodes of all further frames."""
        seen: list[int] = []
        while frame := self.read_frame()[0]:
            seen.append(frame)
        return seen

    def end(self) -> None:
        for one in (self.browser, self.vnc):
            one.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def bridge(web: ModuleType) -> Iterator[Bridge]:
    one = Bridge(web)
    yield one
    one.end()


def test_bytes_pass_both_ways_and_pings_are_answered(bridge: Bridge) -> None:
    bridge.vnc.sendall(b"RFB 003.008\n")
    assert bridge.read_frame() == (BINARY, b"RFB 003.008\n")
    bridge.send(BINARY, b"hello")
    assert bridge.vnc.recv(5) == b"hello"
    bridge.send(PING, b"still there?")
    assert bridge.read_frame() == (PONG, b"still there?")


def test_close_of_the_browser_is_answered_once_and_ends_the_session(bridge: Bridge) -> None:
    bridge.send(CLOSE, NORMAL)
    assert bridge.read_frame() == (CLOSE, NORMAL)
    assert bridge.vnc.recv(1) == b""
    assert bridge.read_rest() == []


def test_end_of_the_vnc_server_is_told_and_the_answer_waited_for(bridge: Bridge) -> None:
    bridge.vnc.close()
    assert bridge.read_frame() == (CLOSE, NORMAL)
    bridge.send(BINARY, b"a movement of the mouse that was under way")
    bridge.send(CLOSE, NORMAL)
    assert bridge.read_rest() == []


def test_both_ends_at_once_send_one_close(web: ModuleType) -> None:
    """noVNC and the VNC server both hang up after a wrong password; Chromium calls a second close a failure."""
    for _ in range(200):
        bridge = Bridge(web)
        hangs_up = threading.Thread(target=bridge.vnc.close)
        hangs_up.start()
        bridge.send(CLOSE, NORMAL)
        assert [frame for frame in bridge.read_rest() if frame == CLOSE] == [CLOSE]
        hangs_up.join()
        bridge.end()


def test_browser_that_never_answers_the_close_is_let_go(web: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "CLOSING_SECONDS", 0.05)
    bridge = Bridge(web)
    bridge.vnc.close()
    assert bridge.read_rest() == [CLOSE]
    bridge.end()


# ------------------------------------------------------------------------------------------- guesses at the password

VERSION, CHOICE, RESPONSE = b"RFB 003.008\n", b"\x02", bytes(16)
ADMITTED = bytes(4) + bytes(300)  # a result, and more than a server says to who is not let in


def take(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := peer.recv(size - len(data))):
        data += more
    return data


class Doorkeeper:
    """A throttle that answers what the test wants, and remembers what it was asked and told."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.seen: list[str] = []

    def admit(self, who: str) -> float:
        self.seen.append(f"admit {who}")
        return self.wait

    def passed(self, who: str) -> None:
        self.seen.append(f"passed {who}")


def test_a_guess_that_comes_too_early_does_not_reach_the_server_and_is_told_why(web: ModuleType) -> None:
    bridge = Bridge(web, Doorkeeper(wait=3.0))
    bridge.send(BINARY, VERSION)
    bridge.send(BINARY, CHOICE)
    assert take(bridge.vnc, 13) == VERSION + CHOICE
    bridge.send(BINARY, RESPONSE)
    opcode, told = bridge.read_frame()
    assert (opcode, told[:4]) == (BINARY, struct.pack(">I", 1))
    assert b"too many wrong passwords" in told
    assert bridge.vnc.recv(16) == b""
    assert bridge.read_frame() == (CLOSE, NORMAL)
    bridge.send(CLOSE, NORMAL)
    bridge.end()


def test_a_guess_counts_once_and_is_forgiven_when_the_server_lets_it_in(web: ModuleType) -> None:
    keeper = Doorkeeper(wait=0.0)
    bridge = Bridge(web, keeper)
    for part in (VERSION, CHOICE, RESPONSE, b"and what a viewer sends later"):
        bridge.send(BINARY, part)
    assert len(take(bridge.vnc, 58)) == 58
    assert keeper.seen == ["admit somebody"]
    bridge.vnc.sendall(ADMITTED)
    take(bridge.browser, 308)
    assert keeper.seen == ["admit somebody", "passed somebody"]
    bridge.vnc.close()
    bridge.send(CLOSE, NORMAL)
    bridge.end()


def test_who_only_looks_at_the_banner_guesses_nothing(web: ModuleType) -> None:
    """The health check, and a page that waits for its person to type."""
    keeper = Doorkeeper(wait=0.0)
    bridge = Bridge(web, keeper)
    bridge.vnc.sendall(VERSION)
    assert bridge.read_frame() == (BINARY, VERSION)
    bridge.send(CLOSE, NORMAL)
    bridge.end()
    assert keeper.seen == []
