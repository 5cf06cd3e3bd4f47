"""The session of a build, asked the way BuildKit asks: HTTP/2 and gRPC over a socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from builder.adapters.buildkit import TRIES
from builder.adapters.buildkit_session import GET_SECRET, HEALTH, _Answers
from builder.adapters.engine.client import connect_engine
from builder.errors import BuildError
from builder.model import RenderedFile
from tests.unit.adapters.scripted_engine import chunked, scripted_engine

LONG = b"x" * 15_000
BUNDLE = bytes(range(256)) * 1_200  # as long as that of a distribution: several frames, more than one window


class Asker:
    """BuildKit's side of the connection."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.speaker = h2.connection.H2Connection(h2.config.H2Configuration())
        self.speaker.initiate_connection()

    def ask(self, path: str, message: bytes, *, pieces: int = 1) -> tuple[str, bytes]:
        """grpc-status and the message of the answer."""
        stream = self.speaker.get_next_available_stream_id()
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        self.speaker.send_headers(stream, head)
        body = b"\0" + len(message).to_bytes(4, "big") + message
        for piece in (*(body[at : at + 1] for at in range(pieces - 1)), body[pieces - 1 :]):
            self.speaker.send_data(stream, piece)
        self.speaker.end_stream(stream)
        self.wire.sendall(self.speaker.data_to_send())
        found, status = b"", ""
        while not status:
            for event in self.speaker.receive_data(self.wire.recv(65_536)):
                if isinstance(event, h2.events.DataReceived):
                    found += event.data
                    self.speaker.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.TrailersReceived):
                    status = dict(event.headers)[b"grpc-status"].decode()
            self.wire.sendall(self.speaker.data_to_send())
        assert not found or int.from_bytes(found[1:5], "big") == len(found) - 5
        return status, found[5:]


@pytest.fixture
def asker() -> Iterator[Asker]:
    ours, theirs = socket.socketpair()
    answers = _Answers(wire=theirs, secrets={"npmrc": b"geheim", "long": LONG, "bundle": BUNDLE, "empty": b""})
    thread = threading.Thread(target=answers.run)
    thread.start()
    ours.settimeout(10)
    yield Asker(ours)
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    theirs.close()


def wanted(name: str) -> bytes:
    return b"\x0a" + bytes([len(name)]) + name.encode()


def test_a_secret_is_given_by_its_name_as_often_as_it_is_wanted(asker: Asker) -> None:
    for _ in range(3):
        assert asker.ask(GET_SECRET, wanted("npmrc")) == ("0", b"\x0a\x06geheim")
    assert asker.ask(GET_SECRET, wanted("empty")) == ("0", b"\x0a\x00")
    # 15,000 is 0x98 0x75 as a varint; the twentieth answer is past what HTTP/2 lets through unasked.
    for _ in range(20):
        assert asker.ask(GET_SECRET, wanted("long")) == ("0", b"\x0a\x98\x75" + LONG)


def test_a_secret_longer_than_the_window_is_sent_as_the_engine_makes_room(asker: Asker) -> None:
    for _ in range(2):
        status, message = asker.ask(GET_SECRET, wanted("bundle"))
        assert (status, message[-len(BUNDLE) :], len(message) - len(BUNDLE)) == ("0", BUNDLE, 4)
    assert asker.ask(HEALTH, b"") == ("0", b"\x08\x01")


def test_a_request_may_come_in_pieces(asker: Asker) -> None:
    assert asker.ask(GET_SECRET, wanted("npmrc"), pieces=4) == ("0", b"\x0a\x06geheim")


def test_what_is_not_there_is_said_to_be_missing(asker: Asker) -> None:
    assert asker.ask(GET_SECRET, wanted("other")) == ("5", b"")


def test_no_other_call_is_answered(asker: Asker) -> None:
    assert asker.ask("/moby.filesync.v1.FileSync/DiffCopy", b"") == ("12", b"")
    assert asker.ask(HEALTH, b"") == ("0", b"\x08\x01")


# What the step of another build, whose devbox is gone, fails with for all that share it: Engine 26.1 and 20.10.
LOST = (
    'rpc error: code = Unavailable desc = "transport: Error while dialing: only one connection allowed"',
    "no active session for 0a6c0167f402: context deadline exceeded",
)


class Builder:
    """An engine whose builds end with what it was told, in turn, and with an image then."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        self.sessions: list[str] = []

    def session(self, connection: socket.socket, line: str) -> None:
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while connection.recv(65_536):
            pass

    def build(self, connection: socket.socket, line: str) -> None:
        self.sessions += re.findall(r"[?&]session=(\w+)", line)
        failed = {"error": self.errors.pop(0)} if self.errors else None
        connection.sendall(chunked(failed or {"id": "moby.image.id", "aux": {"ID": "sha256:1"}}))

    def run(self, folder: Path) -> str:
        with scripted_engine(folder, {"/session": self.session, "/build?": self.build}) as environment:
            tree = {"Dockerfile": RenderedFile(data=b"FROM scratch\n")}
            return connect_engine(environment).build(tree, {}, "x:1", lambda event: None, secrets={"npmrc": b"x"})


def test_a_build_that_shares_a_step_with_one_that_was_killed_is_tried_again_with_a_new_session(tmp_path: Path) -> None:
    builder = Builder(*LOST)
    assert builder.run(tmp_path) == "sha256:1"
    assert len(set(builder.sessions)) == len(LOST) + 1


def test_a_session_that_is_lost_each_time_is_an_error(tmp_path: Path) -> None:
    builder = Builder(*LOST[:1] * TRIES)
    with pytest.raises(BuildError, match="only one connection") as caught:
        builder.run(tmp_path)
    assert len(builder.sessions) == TRIES
    assert "lost the session" in (caught.value.hint or "")


def test_a_build_that_fails_for_another_reason_is_not_tried_again(tmp_path: Path) -> None:
    builder = Builder("exit code: 1")
    with pytest.raises(BuildError):
        builder.run(tmp_path)
    assert len(builder.sessions) == 1
