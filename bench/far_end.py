"""The other end of what is measured through a tunnel: `far_end.py ADDRESS PORT`, a server that runs over there.

A connection begins with a line: `give N`, `take N` (answered by a byte when all has come) or `echo`. Standard library
only.
"""

from __future__ import annotations

import socket
import socketserver
import sys

CHUNK = 1 << 18


class Handler(socketserver.StreamRequestHandler):
    rbufsize = 0  # what follows the line is read from the socket itself

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        word, _, count = self.rfile.readline(64).decode().partition(" ")
        if word == "give":
            give(self.request, int(count))
        elif word == "take":
            take(self.request, int(count))
            self.request.sendall(b".")
        else:
            while data := self.request.recv(CHUNK):
                self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever measures hangs up in the middle of a stream; what went wrong is told at their end."""


def give(wire: socket.socket, count: int) -> None:
    data = memoryview(bytes(range(256)) * (CHUNK // 256))
    while count > 0:
        wire.sendall(data[:count])
        count -= CHUNK


def take(wire: socket.socket, count: int) -> None:
    """Raises EOFError where less comes."""
    room = memoryview(bytearray(CHUNK))
    while count > 0:
        if not (got := wire.recv_into(room, min(count, CHUNK))):
            raise EOFError(f"{count} bytes did not come")
        count -= got


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
