"""Owns the two doors of the web desktop, tried from outside: a page over HTTP, and VNC inside a web socket.

Standard library only; by TLS where the workstation is exposed. One deadline covers a whole call. Not here: what a page
should contain, or the VNC session behind the banner.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import re
import socket
import ssl
import struct
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType

from builder.errors import NotReadyError

ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
MAX_BODY = 1 << 20
BANNER = re.compile(rb"RFB \d{3}\.\d{3}\n")
CLOSE_FRAME = 8  # the first of the control frames


class WebError(NotReadyError):
    """The web desktop cannot be used as a browser would."""


class WebUnreachableError(WebError):
    """Nothing listens, or the connection broke or stalled before an answer was complete."""


class WebRefusedError(WebError):
    """The server answered, but with another status than wanted (`status`)."""

    def __init__(self, message: str, *, status: int, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status


class WebTlsError(WebError):
    """There is no TLS to be had. `alert`: the server refused, and said so; `untrusted`: its certificate will not do."""

    def __init__(self, message: str, *, where: str, alert: bool = False, untrusted: bool = False) -> None:
        super().__init__(message, where=where)
        self.alert, self.untrusted = alert, untrusted


class WebProtocolError(WebError):
    """The answer is not HTTP, not a sound web socket, or carries no VNC server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPlace:
    """Where a web desktop is. `name` is what its certificate is held to; none holds it to no name."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str | None = None
    cookie: str = ""  # of a session

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.netloc}"

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What came back: the body is cut at one megabyte."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # names in small letters

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketDoor:
    """A web socket that was opened: its subprotocol (empty for none) and the banner of the VNC server behind."""

    subprotocol: str
    banner: bytes


def check_page(place: WebPlace, target: str = "/", timeout: float = 10.0) -> Page:
    """Get a page that must answer 200. Redirections are not followed: they are a WebRefusedError."""
    page = ask(place, "GET", target, timeout=timeout)
    if page.status != http.client.OK:
        goal = page.header("location")
        raise WebRefusedError(
            f"the page answers {page.status}" + (f" and points to {goal}" if goal else ""),
            status=page.status,
            where=place.origin + target,
        )
    return page


def ask(
    place: WebPlace,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    body: bytes = b"",
    timeout: float = 10.0,
) -> Page:
    """One request, whatever the answer is. `headers` go over our own."""
    told = {
        "Host": place.netloc,
        "Accept": "*/*",
        "Cookie": place.cookie,
        "Content-Length": str(len(body) or ""),
        **headers,
    }
    # HTTP/1.0: the body ends with the connection, so there are no chunks to undo.
    request = [f"{method} {target} HTTP/1.0", *(f"{name}: {value}" for name, value in told.items() if value)]
    with _Line(place, timeout, where=place.origin + target) as line:
        line.send(_head(request) + body)
        status, found = _read_answer(line)
        data = line.read_up_to(_body_limit(found))
    pairs = tuple((name.lower(), value) for name, value in found.items())
    return Page(status=status, content_type=found.get("Content-Type", ""), body=data, headers=pairs)


def offers_tls(place: WebPlace, version: ssl.TLSVersion, timeout: float = 10.0) -> bool:
    """Whether the server would speak this version of TLS, which this machine's own rules would not let us use."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it trusts nobody: to come as far as that is an answer, too
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = version
    try:
        with _Line(replace(place, tls=context, name=None), timeout, where=place.origin):
            return True
    except WebTlsError as error:
        if error.alert or error.untrusted:
            return error.untrusted
        raise


def check_websocket(place: WebPlace, path: str, origin: str | None = None, timeout: float = 10.0) -> WebSocketDoor:
    """Open a web socket as noVNC does and read the VNC banner from its first frames.

    WebRefusedError (with `status`) when the upgrade is refused: for a foreign `origin` that may be what one wants.
    TigerVNC counts this as a failed login (it ends at the banner): log in once afterwards when it is repeated.
    """
    where = f"{'wss' if place.tls else 'ws'}://{place.netloc}{path}"
    key = base64.b64encode(os.urandom(16))
    request = [
        f"GET {path} HTTP/1.1",
        f"Host: {place.netloc}",
        *([f"Cookie: {place.cookie}"] if place.cookie else []),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Protocol: binary",
    ]
    with _Line(place, timeout, where=where) as line:
        line.send(_head([*request, f"Origin: {origin}"] if origin else request))
        status, headers = _read_answer(line)
        _require_upgrade(status, headers, key, where)
        banner = _read_banner(line)
        line.send(_close_frame())
    return WebSocketDoor(subprotocol=headers.get("Sec-WebSocket-Protocol", ""), banner=banner)


class _Line(io.RawIOBase):
    """A TCP connection whose reads share one deadline; `reader` buffers it."""

    def __init__(self, place: WebPlace, timeout: float, *, where: str) -> None:
        self.where = where
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        try:
            self._socket = socket.create_connection((place.host, place.port), timeout)
            if place.tls:
                self._socket = _wrap(self._socket, place.tls, place.name, where)
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise WebUnreachableError(f"nothing can be reached there: {reason}", where=where) from error
        self.reader = io.BufferedReader(self, 1 << 16)

    def __enter__(self) -> _Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            return self._socket.recv_into(buffer)
        except TimeoutError as error:
            raise WebUnreachableError(f"no complete answer within {self._timeout:g} s", where=self.where) from error
        except OSError as error:
            raise WebUnreachableError(f"the connection broke: {error.strerror}", where=self.where) from error

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise WebUnreachableError(f"the connection broke: {error}", where=self.where) from error

    def read_up_to(self, count: int) -> bytes:
        return self.reader.read(count)

    def read_exactly(self, count: int) -> bytes:
        data = self.reader.read(count)
        if len(data) < count:
            raise WebUnreachableError("the connection was closed in the middle of an answer", where=self.where)
        return data


def _wrap(plain: socket.socket, tls: ssl.SSLContext, name: str | None, where: str) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(plain, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise WebTlsError(
            f"its certificate will not do: {error.verify_message}", where=where, untrusted=True
        ) from error
    except ssl.SSLError as error:
        plain.close()
        reason = error.reason or str(error)
        raise WebTlsError(f"it does not speak TLS with us: {reason}", where=where, alert="ALERT" in reason) from error


def _body_limit(headers: http.client.HTTPMessage) -> int:
    announced = headers.get("Content-Length", "")
    return min(MAX_BODY, int(announced)) if announced.isdecimal() else MAX_BODY


def _head(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _read_answer(line: _Line) -> tuple[int, http.client.HTTPMessage]:
    first = line.reader.readline(1 << 16)
    if not first:
        raise WebUnreachableError("the connection was closed without an answer", where=line.where)
    found = re.match(rb"HTTP/1\.[01] (\d{3})\b", first)
    if not found:
        raise WebProtocolError(f"the answer is not HTTP: {first[:40]!r}", where=line.where)
    try:
        return int(found[1]), http.client.parse_headers(line.reader)
    except http.client.HTTPException as error:
        raise WebProtocolError(f"the headers cannot be read: {error}", where=line.where) from error


def _require_upgrade(status: int, headers: http.client.HTTPMessage, key: bytes, where: str) -> None:
    if status != http.client.SWITCHING_PROTOCOLS:
        raise WebRefusedError(f"the web socket is refused with status {status}", status=status, where=where)
    # SHA-1 is what RFC 6455 prescribes here; it protects nothing.
    digest = hashlib.sha1(key + ACCEPT_SUFFIX, usedforsecurity=False).digest()
    if headers.get("Sec-WebSocket-Accept", "").strip() != base64.b64encode(digest).decode():
        raise WebProtocolError("the upgrade is answered with a wrong Sec-WebSocket-Accept", where=where)


def _read_banner(line: _Line) -> bytes:
    """The first twelve bytes of data; a server may spread them over frames, and ping in between."""
    data = b""
    while len(data) < 12:
        kind, payload = _read_frame(line)
        if kind == CLOSE_FRAME:
            reason = payload[2:].decode("utf-8", "replace") or "no reason given"
            raise WebProtocolError(f"the web socket was closed before a VNC banner: {reason}", where=line.where)
        if kind < CLOSE_FRAME:
            data += payload
    if not BANNER.match(data):
        raise WebProtocolError(f"the web socket does not lead to a VNC server: {data[:12]!r}", where=line.where)
    if data[12:16] == bytes(4):
        # RFB 3.3 "no security type": length and reason follow, usually in the same frame.
        reason = data[20:].decode("utf-8", "replace") or "no reason given"
        raise WebProtocolError(f"the VNC server behind the web socket turns us away: {reason}", where=line.where)
    return data[:12]


def _read_frame(line: _Line) -> tuple[int, bytes]:
    first, second = line.read_exactly(2)
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(line.read_exactly(2 if length == 126 else 8), "big")
    if second & 0x80 or length > MAX_BODY:
        raise WebProtocolError("a web socket frame breaks RFC 6455 (masked or huge)", where=line.where)
    return first & 0x0F, line.read_exactly(length)


def _close_frame() -> bytes:
    """Status 1000 (normal), masked as a client must; the mask may be any four bytes."""
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index] for index, byte in enumerate(struct.pack(">H", 1000)))
    return bytes([0x80 | CLOSE_FRAME, 0x80 | len(body)]) + mask + body
