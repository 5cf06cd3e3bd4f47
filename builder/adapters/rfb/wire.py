"""Owns the byte stream to a VNC server: exact reads and writes, each under a deadline.

It knows numbers and strings, no messages. A deadline covers a whole step or message, not one system call,
so that a server that drips a byte now and then cannot hold us for ever.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Protocol

from builder.adapters.rfb.faults import ConnectionLostError, NoVncServerError, ProtocolFaultError, VncTimeoutError

CHUNK = 1 << 18
MAX_TEXT = 1 << 20


class Stream(Protocol):
    """What the client needs of a connection: a socket has it, and so has a paramiko channel."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> object: ...
    def settimeout(self, seconds: float | None, /) -> object: ...
    def close(self) -> object: ...


def open_stream(host: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection, or NoVncServerError saying why there is none."""
    try:
        stream = socket.create_connection((host, port), timeout)
    except OSError as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise NoVncServerError(f"no VNC server can be reached: {reason}", where=f"{host}:{port}") from error
    # Key and pointer events are tiny; Nagle's algorithm would hold each back for an acknowledgement.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


class Wire:
    """A stream with a read buffer. `received` counts every byte that came in."""

    def __init__(self, stream: Stream, *, where: str, timeout: float) -> None:
        self.where = where
        self.timeout = timeout
        self.received = 0
        self._stream = stream
        self._buffer = bytearray()
        self._doing = "the connection"
        self._deadline = time.monotonic() + timeout
        self._closed = False

    def begin(self, doing: str) -> None:
        """Name the step that follows and give it the connection's time-out as a whole."""
        self._doing = doing
        self._deadline = time.monotonic() + self.timeout

    def taken(self) -> int:
        """Bytes handed out so far: received, less what still waits in the buffer."""
        return self.received - len(self._buffer)

    def read(self, count: int) -> bytes:
        self._refuse_closed()
        while len(self._buffer) < count:
            if not self._fill(self._deadline - time.monotonic()):
                self.close()
                raise VncTimeoutError(
                    f"{self._doing} did not come within {self.timeout:g} s "
                    f"({len(self._buffer)} of {count} bytes are there)",
                    where=self.where,
                )
        with memoryview(self._buffer) as view:
            data = bytes(view[:count])
        del self._buffer[:count]
        return data

    def skip(self, count: int) -> None:
        self.read(count)

    def u8(self) -> int:
        return self.read(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.read(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.read(4), "big")

    def s32(self) -> int:
        return int.from_bytes(self.read(4), "big", signed=True)

    def text(self) -> str:
        """A string with its length before it, as reasons and names are sent."""
        length = self.u32()
        if length > MAX_TEXT:
            raise ProtocolFaultError(f"{self._doing} announces {length} bytes of text", where=self.where)
        return self.read(length).decode("utf-8", "replace")

    def peek(self) -> bytes:
        """What has come in and was not read yet, for messages about a stranger."""
        return bytes(self._buffer)

    def pending(self, seconds: float) -> bool:
        """Wait until there is something to read; False when nothing came in that time."""
        self._refuse_closed()
        return bool(self._buffer) or self._fill(seconds)

    def send(self, layout: str, *values: int, tail: bytes = b"") -> None:
        """Pack big-endian values (struct letters) and send them, with `tail` behind."""
        self.send_bytes(struct.pack(">" + layout, *values) + tail)

    def send_bytes(self, data: bytes) -> None:
        self._refuse_closed()
        try:
            self._stream.settimeout(self.timeout)
            self._stream.sendall(data)
        except TimeoutError as error:
            self.close()
            raise VncTimeoutError(f"the server took no input for {self.timeout:g} s", where=self.where) from error
        except OSError as error:
            # Not closed here: what the server said before it hung up can still be read.
            raise ConnectionLostError(f"the VNC connection takes no input: {error}", where=self.where) from error

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _fill(self, seconds: float) -> bool:
        try:
            self._stream.settimeout(max(0.0, seconds))
            data = self._stream.recv(CHUNK)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("the server closed it")
        self.received += len(data)
        self._buffer += data
        return True

    def _lost(self, why: str) -> ConnectionLostError:
        self.close()
        return ConnectionLostError(
            f"the VNC connection is gone: {why} (while waiting for {self._doing})", where=self.where
        )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ConnectionLostError("the VNC connection is closed", where=self.where)
