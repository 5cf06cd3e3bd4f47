"""Two ends of a connection joined: what comes in at one goes out at the other, in both directions, each to its end."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

import paramiko

CHUNK: Final = 1 << 17
PILE: Final = 1 << 20  # of what has come: what is left of a window, paramiko moves to the front each time


def join(near: socket.socket, far: paramiko.Channel) -> None:
    """Carry bytes until both have ended, or one broke. A half that ends is passed on as an end: engines tell the end
    of a build's input by it. The far end is closed then; the near one is the caller's."""
    back = threading.Thread(target=_carry_back, args=(near, far), daemon=True)
    back.start()
    try:
        while data := near.recv(CHUNK):
            far.sendall(memoryview(data))  # type: ignore[arg-type]  # a view, for it cuts off packet by packet
        far.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        _close(far)
    back.join()
    _close(far)


def _close(far: paramiko.Channel) -> None:
    with suppress(OSError, EOFError, paramiko.SSHException):  # what it runs over may break just now
        far.close()


def _carry_back(near: socket.socket, far: paramiko.Channel) -> None:
    try:
        while data := far.recv(PILE):
            near.sendall(data)
        near.shutdown(socket.SHUT_WR)
        if far.closed:  # not only this half: nobody hears what is still sent
            near.shutdown(socket.SHUT_RD)
    except (OSError, EOFError, paramiko.SSHException):
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
