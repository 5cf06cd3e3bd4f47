"""A plain HTTP connection to the engine by the standard library, for what the SDK does badly.

The SDK reads hijacked streams past its own buffer (what came with the headers is lost) and cannot close only the
writing half. Everything else goes through the SDK. Must not know what is asked.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from builder.adapters.engine import tls

if TYPE_CHECKING:
    from builder.adapters.engine.host import EngineHost

STREAMS: Final = {0: "stdin", 1: "stdout", 2: "stderr"}
Frame = tuple[str, bytes]  # ("stdout" | "stderr", data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hijacked:
    """A request whose answer is a stream in both directions. Close it when done."""

    socket: socket.socket
    response: HTTPResponse

    def close(self) -> None:
        self.response.close()
        self.socket.close()


def open_socket(host: EngineHost, timeout_s: float | None) -> socket.socket:
    if host.socket:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(timeout_s)
        try:
            plain.connect(str(host.socket))
        except OSError:
            plain.close()
            raise
        return plain
    parts = urlsplit(host.url)
    secured = host.tls is not None or parts.scheme == "https"
    tcp = socket.create_connection(
        (parts.hostname or "localhost", parts.port or (2376 if secured else 2375)), timeout_s
    )
    return tls.secure(tcp, _tls_context(host), parts.hostname) if secured else tcp


def _tls_context(host: EngineHost) -> ssl.SSLContext:
    authority = host.tls / "ca.pem" if host.tls else None
    context = ssl.create_default_context(cafile=str(authority) if authority and authority.is_file() else None)
    if not host.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if host.tls and (host.tls / "cert.pem").is_file():
        context.load_cert_chain(host.tls / "cert.pem", host.tls / "key.pem")
    return context


def hijack(
    host: EngineHost,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    timeout_s: float | None = None,
) -> Hijacked:
    """Send one request and hand over the socket. `timeout_s` bounds every single read and write, None waits for ever.

    Raises OSError or http.client.HTTPException when there is no answer; a bad status is the caller's to read.
    """
    wire = open_socket(host, timeout_s)
    try:
        connection = HTTPConnection("engine")
        connection.sock = wire
        data = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, body=data, headers={"Content-Type": "application/json"} if data else {})
        return Hijacked(socket=wire, response=connection.getresponse())
    except BaseException:
        wire.close()
        raise


def upgrade(host: EngineHost, path: str, protocol: str, headers: Sequence[tuple[str, str]]) -> socket.socket:
    """Go on in another protocol: the socket, with nothing read of what follows the head of the answer.

    Raises OSError or http.client.HTTPException when the engine does not.
    """
    wire = open_socket(host, None)
    try:
        asked = [("Host", "engine"), ("Connection", "Upgrade"), ("Upgrade", protocol), *headers]
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in asked), "", ""]
        wire.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := wire.recv(1)):
                raise RemoteDisconnected("the engine closed the connection")
            head += byte
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise HTTPException(
                f"the engine does not speak {protocol}: {head.splitlines()[0].decode(errors='replace')}"
            )
        return wire
    except BaseException:
        wire.close()
        raise


def frames(read: Callable[[int], bytes]) -> Iterator[Frame]:
    """Take the engine's multiplexed stream apart: 8 bytes of header (stream, 0, 0, 0, big-endian length), then data."""
    while len(header := read(8)) == 8:
        data = read(int.from_bytes(header[4:], "big"))
        if data:
            yield STREAMS.get(header[0], "stdout"), data


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into lines without their ends; what is left at the end is a line too."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
    if rest:
        yield rest
