"""Secrets for the steps of a build: BuildKit asks for one when a step mounts it, and keeps none.

A session is a connection on which the engine is the client: gRPC over HTTP/2, by the library h2. Owns the two calls
that are answered (GetSecret, and the health check by which BuildKit sees that we live); all others are refused.
Sources: moby/buildkit session/grpchijack, session/secrets/secrets.proto; the gRPC protocol over HTTP/2.
"""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from builder.adapters.buildkit_trace import Message
from builder.adapters.engine.wire import upgrade

if TYPE_CHECKING:
    from builder.adapters.engine.connection import Connection

GET_SECRET: Final = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105  # the name of a call
HEALTH: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = b"\x08\x01"  # HealthCheckResponse { status=1: SERVING }
OK, NOT_FOUND, UNIMPLEMENTED = 0, 5, 12  # of gRPC
MAX_SECRET: Final = 4_000_000  # the longest message that gRPC takes where nothing else was agreed, and a little less


@contextmanager
def serve_secrets(engine: Connection, secrets: Mapping[str, bytes]) -> Iterator[str]:
    """Answer the engine's questions for `secrets` until the end; the id is what `POST /build` takes as `session`.

    Raises EngineError when the engine opens no session.
    """
    if too_long := [name for name, data in secrets.items() if len(data) > MAX_SECRET]:
        raise ValueError(f"a build secret is too long: {too_long[0]}")
    identity = uuid.uuid4().hex
    calls = [("X-Docker-Expose-Session-Grpc-Method", name) for name in (GET_SECRET, HEALTH)]
    about = [("X-Docker-Expose-Session-Uuid", identity), ("X-Docker-Expose-Session-Name", "devbox"), *calls]
    with engine.asking("cannot open a session for the build"):
        wire = upgrade(engine.host, f"{engine.prefix}/session", "h2c", about)
    thread = threading.Thread(target=_Answers(wire=wire, secrets=secrets).run, name="build-session", daemon=True)
    thread.start()
    try:
        yield identity
    finally:
        with suppress(OSError):  # the engine ended it before us
            wire.shutdown(socket.SHUT_RDWR)
        thread.join()
        wire.close()


@dataclass(slots=True)
class _Answers:
    """One connection: every request is read to its end, then answered."""

    wire: socket.socket
    secrets: Mapping[str, bytes]
    _calls: dict[int, tuple[str, bytearray]] = field(default_factory=dict)  # stream -> path, body so far
    _waiting: dict[int, tuple[int, bytes]] = field(default_factory=dict)  # stream -> status, and what is not sent yet

    def run(self) -> None:
        """Until the connection ends, from whichever side; a build that still wants a secret then fails by itself."""
        speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaker.initiate_connection()
        with suppress(OSError, h2.exceptions.ProtocolError):
            self.wire.sendall(speaker.data_to_send())
            while data := self.wire.recv(65_536):
                for event in speaker.receive_data(data):
                    self._hear(speaker, event)
                self._send(speaker)
                self.wire.sendall(speaker.data_to_send())

    def _hear(self, speaker: h2.connection.H2Connection, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream, headers=headers):
                self._calls[stream] = (dict(headers).get(b":path", b"").decode("latin-1"), bytearray())
            case h2.events.DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self._calls[stream][1].extend(data)
                speaker.acknowledge_received_data(length, stream)
            case h2.events.StreamEnded(stream_id=stream):
                path, body = self._calls.pop(stream)
                self._answer(speaker, stream, *self._choose(path, bytes(body)))
            case h2.events.StreamReset(stream_id=stream):
                self._calls.pop(stream, None)
                self._waiting.pop(stream, None)

    def _choose(self, path: str, body: bytes) -> tuple[int, bytes | None]:
        """Status and message for one call. Its body is one message: a byte for compression, 4 of length, and itself."""
        if path == HEALTH:
            return OK, SERVING
        if path != GET_SECRET:
            return UNIMPLEMENTED, None
        secret = self.secrets.get(Message(body[5:]).text(1))  # GetSecretRequest { ID=1 }
        return (NOT_FOUND, None) if secret is None else (OK, b"\x0a" + _varint(len(secret)) + secret)  # { data=1 }

    def _answer(self, speaker: h2.connection.H2Connection, stream: int, status: int, message: bytes | None) -> None:
        speaker.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        body = b"" if message is None else b"\0" + len(message).to_bytes(4, "big") + message
        self._waiting[stream] = (status, body)

    def _send(self, speaker: h2.connection.H2Connection) -> None:
        """As much of every answer as the engine has room for by now; a bundle of certificates takes several rounds."""
        for stream, (status, body) in list(self._waiting.items()):
            while (
                body and (room := min(speaker.local_flow_control_window(stream), speaker.max_outbound_frame_size)) > 0
            ):
                speaker.send_data(stream, body[:room])
                body = body[room:]
            self._waiting[stream] = (status, body)
            if not body:
                speaker.send_headers(stream, [("grpc-status", str(status))], end_stream=True)
                del self._waiting[stream]


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
