"""A web socket as the byte stream that our VNC client wants: what a browser puts between itself and the server."""

from __future__ import annotations

import base64
import os
import struct
from typing import Final

from builder.adapters.rfb.wire import open_stream

BINARY: Final = 0x82
CLOSE: Final = 8
CHUNK: Final = 1 << 18


class WebSocketStream:
    """Messages run together into a stream; fragments need no care, since only their bytes count."""

    def __init__(self, host: str, port: int, path: str, timeout: float) -> None:
        self._socket = open_stream(host, port, timeout)
        self._file = self._socket.makefile("rb", buffering=CHUNK)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Protocol: binary",
        )
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._buffer = bytearray()
        self._left = 0  # bytes of the frame that is being read
        self._skip = False  # and whether it is none of data
        while b"\r\n\r\n" not in self._buffer:
            if not self._fill():
                break
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"the web socket is refused: {head[:80]!r}")
        self._buffer = bytearray(rest)

    def recv(self, size: int, /) -> bytes:
        """What has come of a message, or what comes next; a time-out leaves everything as it is."""
        while True:
            while self._left == 0:
                if not self._begin_frame() and not self._fill():
                    return b""
            if self._buffer:
                count = min(size, self._left, len(self._buffer))
                data = bytes(self._buffer[:count])
                del self._buffer[:count]
                self._left -= count
                if not self._skip:
                    return data
            elif not self._fill():
                return b""

    def sendall(self, data: bytes, /) -> None:
        mask = os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self._socket.sendall(bytes([BINARY]) + length + mask + body)

    def settimeout(self, seconds: float | None, /) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> bool:
        """One read of the socket; False at its end."""
        data = self._socket.recv(CHUNK)
        self._buffer += data
        return bool(data)

    def _begin_frame(self) -> bool:
        """Take the head of a frame from the buffer; False when it is not there as a whole yet."""
        if len(self._buffer) < 2:
            return False
        length = self._buffer[1] & 0x7F
        extra = {126: 2, 127: 8}.get(length, 0)
        if len(self._buffer) < 2 + extra:
            return False
        self._left = int.from_bytes(self._buffer[2 : 2 + extra], "big") if extra else length
        self._skip = self._buffer[0] & 0x0F >= CLOSE
        del self._buffer[: 2 + extra]
        return True
