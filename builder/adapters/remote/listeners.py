"""Sockets of this machine that lead to another one: each accepts, and hands what it accepted to a thread of its own."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

Serve = Callable[[socket.socket], None]
BACKLOG: Final = 64
PAUSE_S: Final = 0.1  # after a connection that could not be accepted


class Listener:
    """One socket that accepts until it is closed. `open` counts what it serves now."""

    def __init__(self, listening: socket.socket, serve: Serve) -> None:
        self.open = 0
        self._socket = listening
        self._serve = serve
        self._near: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:  # it was closed; or whoever knocked is gone, or too many files are open for now
                if self._closed.wait(PAUSE_S):
                    return
                continue
            threading.Thread(target=self._run, args=(near,), daemon=True).start()

    def _run(self, near: socket.socket) -> None:
        with self._lock:
            self._near.add(near)
            self.open = len(self._near)
        try:
            with near:
                self._serve(near)
        finally:
            with self._lock:
                self._near.discard(near)
                self.open = len(self._near)

    def hang_up(self) -> None:
        """End what is served now; new ones are accepted."""
        with self._lock:
            for near in self._near:
                with suppress(OSError):
                    near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()
        self.hang_up()


def listen_unix(path: Path, serve: Serve) -> Listener:
    """For this user alone, in a folder that is theirs alone. What an ended process left there is replaced."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(BACKLOG)
    return Listener(listening, serve)


def listen_tcp(address: str, port: int, serve: Serve) -> Listener:
    """Raises OSError where that port is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return Listener(listening, serve)
