"""Owns the clipboard: plain cut text (Latin-1) and the Extended Clipboard pseudo-encoding (Unicode).

The extension is described in the community's RFB protocol text ("Extended Clipboard Pseudo-Encoding"): cut text
with a negative length, whose first word says what to do. Only its text format is used here.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from builder.adapters.rfb.faults import ProtocolFaultError, UnknownKeyError

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

CLIENT_CUT_TEXT = 6
TEXT = 1 << 0
CAPS, REQUEST, PEEK, NOTIFY, PROVIDE = (1 << bit for bit in range(24, 29))
MOST = 1 << 24


class Clipboard:
    """What the server last offered (`text`, counted by `serial`) and what we offer it."""

    def __init__(self, wire: Wire) -> None:
        self.text = ""
        self.serial = 0
        self._wire = wire
        self._extended = False
        self._ours = ""

    def send(self, text: str) -> None:
        """Offer `text` to the server. Raises UnknownKeyError when only Latin-1 is possible and does not do."""
        self._ours = text
        if self._extended:
            self._send_extended(NOTIFY | TEXT)
            # TigerVNC keeps what comes after the notice, so a paste works while nobody reads this connection.
            self._provide()
            return
        try:
            data = text.replace("\r\n", "\n").encode("latin-1")
        except UnicodeEncodeError as error:
            raise UnknownKeyError(
                f"this server's clipboard carries only Latin-1 text, not {text[error.start]!r}", where=self._wire.where
            ) from error
        self._wire.send("BxxxI", CLIENT_CUT_TEXT, len(data), tail=data)

    def receive(self) -> None:
        """Read the body of ServerCutText, behind its type byte."""
        self._wire.skip(3)
        length = self._wire.s32()
        if abs(length) > MOST:
            raise ProtocolFaultError(f"a clipboard of {abs(length)} bytes", where=self._wire.where)
        data = self._wire.read(abs(length))
        if length >= 0:
            self._take(data.decode("latin-1"))
        else:
            self._receive_extended(data)

    def _receive_extended(self, data: bytes) -> None:
        if len(data) < 4:
            raise ProtocolFaultError("a clipboard message without its flags", where=self._wire.where)
        flags = int.from_bytes(data[:4], "big")
        if flags & CAPS:
            self._extended = True
            # One size: the most text that the server may send unasked.
            self._send_extended(CAPS | REQUEST | NOTIFY | PROVIDE | TEXT, struct.pack(">I", MOST))
        elif flags & NOTIFY and flags & TEXT:
            self._send_extended(REQUEST | TEXT)
        elif flags & REQUEST and flags & TEXT:
            self._provide()
        elif flags & PROVIDE and flags & TEXT:
            self._take(self._unpack(data[4:]))

    def _provide(self) -> None:
        lines = self._ours.replace("\r\n", "\n").replace("\n", "\r\n")
        data = lines.encode() + b"\0"
        self._send_extended(PROVIDE | TEXT, zlib.compress(struct.pack(">I", len(data)) + data))

    def _unpack(self, packed: bytes) -> str:
        try:
            data = zlib.decompressobj().decompress(packed, MOST)
        except zlib.error as error:
            raise ProtocolFaultError(f"a damaged clipboard: {error}", where=self._wire.where) from error
        size = int.from_bytes(data[:4], "big")
        return data[4 : 4 + size].rstrip(b"\0").decode("utf-8", "replace").replace("\r\n", "\n")

    def _send_extended(self, flags: int, data: bytes = b"") -> None:
        self._wire.send("BxxxiI", CLIENT_CUT_TEXT, -(4 + len(data)), flags, tail=data)

    def _take(self, text: str) -> None:
        self.text = text
        self.serial += 1
