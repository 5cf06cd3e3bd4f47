"""paramiko's transport, with the channel that it lacks and what makes it as fast as OpenSSH.

Owns the choice of cipher, window and packet, and how bytes are read from the wire. Sources: PROTOCOL of OpenSSH 2.4
(direct-streamlocal@openssh.com), RFC 4253 (packets), RFC 5647 (AES-GCM). Measured in docs/decisions.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final

import paramiko
from paramiko.packet import Packetizer

if TYPE_CHECKING:
    from paramiko.message import Message

STREAMLOCAL: Final = "direct-streamlocal@openssh.com"
WINDOW: Final = 8 << 20  # bytes on their way: enough for 100 MB/s at 80 ms
PACKET: Final = 1 << 17  # that may come in one; OpenSSH has room for 256 KiB with all around it
READ: Final = 1 << 18
FAST: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")  # one pass, where others take two


class Transport(paramiko.Transport):
    """paramiko knows no channel to a unix socket: it sends what all channels have, and we what is missing."""

    def __init__(self, wire: socket.socket | paramiko.Channel) -> None:
        super().__init__(
            wire, default_window_size=WINDOW, default_max_packet_size=PACKET, packetizer_class=BufferedPacketizer
        )
        self.daemon = True
        options = self.get_security_options()
        options.ciphers = sorted(options.ciphers, key=lambda name: name not in FAST)
        self._path = ""
        self._opening = threading.Lock()

    def open_streamlocal(self, path: str, timeout_s: float) -> paramiko.Channel:
        with self._opening:
            self._path = path
            try:
                return self.open_channel(STREAMLOCAL, timeout=timeout_s)
            finally:
                self._path = ""

    def _send_user_message(self, data: Message) -> None:
        if self._path and _opens_streamlocal(data.asbytes()):
            data.add_string(self._path)
            data.add_string("")  # reserved
            data.add_int(0)
        super()._send_user_message(data)  # type: ignore[misc]  # not in the stubs


def _opens_streamlocal(sent: bytes) -> bool:
    return sent[:1] == paramiko.common.cMSG_CHANNEL_OPEN and sent[5 : 5 + len(STREAMLOCAL)] == STREAMLOCAL.encode()


class BufferedPacketizer(Packetizer):
    """paramiko's, which asks the wire for the 16 bytes of a head and then for the rest: here both are there by then."""

    def __init__(self, wire: socket.socket | paramiko.Channel) -> None:
        super().__init__(BufferedWire(wire))  # type: ignore[arg-type]  # it takes whatever sends and receives


class BufferedWire:
    """A wire that is read as far as bytes have come, whatever little is asked for."""

    def __init__(self, wire: socket.socket | paramiko.Channel) -> None:
        self._wire = wire
        self._read = b""
        self._at = 0
        self.send = wire.send
        self.close = wire.close

    def recv(self, count: int) -> bytes:
        """At least a byte, but at the end; raises TimeoutError as the wire does."""
        if self._at == len(self._read):
            self._at, self._read = 0, self._wire.recv(READ)
        data = self._read[self._at : self._at + count]
        self._at += len(data)
        return data
