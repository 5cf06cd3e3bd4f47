"""TLS to an engine, below connections that are read and written at once, and closed half by half.

`ssl.SSLSocket` can do neither: its `shutdown` ends TLS, so that what is read after it is ciphertext, and two threads
may not use it together. So the caller has one end of a pair of plain sockets, and two threads carry what passes. What
breaks off is an error behind all that came before, and no end: a plain socket could not tell one from the other. Must
not know HTTP.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any, Final

CHUNK: Final = 1 << 16


def secure(tcp: socket.socket, context: ssl.SSLContext, name: str | None) -> socket.socket:
    """Shake hands within the time-out of `tcp`, which is ours from now on; the socket for what is to be sent and read,
    with the same time-out. Raises OSError; so does the reading of that socket, where TLS does not end as it should."""
    try:
        carrier = _Carrier(tcp, context, name)
        carrier.shake_hands()
    except BaseException:
        tcp.close()
        raise
    far, near = socket.socketpair()
    ours = _Ours(far, carrier)
    ours.settimeout(tcp.gettimeout())
    tcp.settimeout(None)
    threading.Thread(target=carrier.carry, args=(near,), name="engine-tls", daemon=True).start()
    return ours


class _Ours(socket.socket):
    """The caller's end of the pair, whose end is an error where that of the connection was one."""

    def __init__(self, end: socket.socket, carrier: _Carrier) -> None:
        super().__init__(fileno=end.detach())
        self._carrier = carrier

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        if size and not data:
            self._carrier.raise_trouble()
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """For `makefile`, which has room for something."""
        count = super().recv_into(buffer, size, flags)
        if not count:
            self._carrier.raise_trouble()
        return count


class _Carrier:
    def __init__(self, tcp: socket.socket, context: ssl.SSLContext, name: str | None) -> None:
        self._tcp = tcp
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._using = threading.Lock()  # of these three
        self._trouble: OSError | None = None

    def raise_trouble(self) -> None:
        """Raises OSError where no more comes because the connection broke."""
        if self._trouble is not None:
            raise self._trouble

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._tcp.sendall(self._outgoing.read())
                self._take(self._tcp.recv(CHUNK))
                continue
            finally:
                self._tcp.sendall(self._outgoing.read())  # also why it is refused
            return

    def _take(self, sealed: bytes) -> None:
        if sealed:
            self._incoming.write(sealed)
        else:
            self._incoming.write_eof()

    def carry(self, near: socket.socket) -> None:
        """Both ways, each to its end, or until the caller closes their socket."""
        back = threading.Thread(target=self._carry_back, args=(near,), name="engine-tls-back", daemon=True)
        with near, self._tcp:
            back.start()
            try:
                while data := near.recv(CHUNK):
                    self._tcp.sendall(self._seal(data))
                self._tcp.sendall(self._seal(b""))
            except OSError:  # the engine is gone: the way back ends, too, and who still sends is told
                with suppress(OSError):
                    near.shutdown(socket.SHUT_RD)
            gone = select.poll()
            gone.register(near, 0)  # nothing but that both halves have ended
            gone.poll()
            with suppress(OSError):
                self._tcp.shutdown(socket.SHUT_RDWR)
            back.join()

    def _seal(self, data: bytes) -> bytes:
        """What goes over the wire for `data`; for no data, that no more will come."""
        with self._using:
            if not data:
                with suppress(ssl.SSLError):  # it would wait for the other side to end, too
                    self._tls.unwrap()
            while data:
                data = data[self._tls.write(data) :]
            return self._outgoing.read()

    def _carry_back(self, near: socket.socket) -> None:
        try:
            end: ssl.SSLError | None = None
            while end is None:
                if not (sealed := self._tcp.recv(CHUNK)):
                    # OpenSSL would take it for the end of TLS: OP_IGNORE_UNEXPECTED_EOF is Python's default.
                    raise ConnectionAbortedError("TLS: hung up without an end of it")
                data, end = self._open(sealed)
                near.sendall(data)
            if not isinstance(end, ssl.SSLZeroReturnError):
                # No SSLError, which would be explained by a certificate that does not fit.
                raise ConnectionAbortedError(f"TLS: {end}")
        except OSError as error:  # also of a caller who does not read on, and will not see it
            self._trouble = error
        with suppress(OSError):
            near.shutdown(socket.SHUT_WR)

    def _open(self, sealed: bytes) -> tuple[bytes, ssl.SSLError | None]:
        """What is in it, and how TLS ended with it, if it did: in order only with SSLZeroReturnError."""
        found: list[bytes] = []
        with self._using:
            self._incoming.write(sealed)
            try:
                while True:
                    found.append(self._tls.read(CHUNK))
            except ssl.SSLWantReadError:
                return b"".join(found), None
            except ssl.SSLError as end:
                return b"".join(found), end
