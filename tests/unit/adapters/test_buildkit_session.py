"""The session of a build, asked the way BuildKit asks: HTTP/2 and gRPC over a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest

from builder.adapters.buildkit_session import GET_SECRET, HEALTH, _Answers

LONG = b"x" * 15_000


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
    answers = _Answers(wire=theirs, secrets={"npmrc": b"geheim", "long": LONG, "empty": b""})
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


def test_a_request_may_come_in_pieces(asker: Asker) -> None:
    assert asker.ask(GET_SECRET, wanted("npmrc"), pieces=4) == ("0", b"\x0a\x06geheim")


def test_what_is_not_there_is_said_to_be_missing(asker: Asker) -> None:
    assert asker.ask(GET_SECRET, wanted("other")) == ("5", b"")


def test_no_other_call_is_answered(asker: Asker) -> None:
    assert asker.ask("/moby.filesync.v1.FileSync/DiffCopy", b"") == ("12", b"")
    assert asker.ask(HEALTH, b"") == ("0", b"\x08\x01")
