"""This process's terminal, lent to a command in a container: raw mode, window size, stdin.

Whatever happens, the terminal is as it was when `attached` ends. Must not know the engine.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

Resize = Callable[[int, int], None]  # rows, columns


class LocalTerminal:
    """Three file descriptors; by default those of this process."""

    def __init__(self, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None) -> None:
        self.stdin = sys.stdin.fileno() if stdin is None else stdin
        self.stdout = sys.stdout.fileno() if stdout is None else stdout
        self.stderr = sys.stderr.fileno() if stderr is None else stderr

    @property
    def is_terminal(self) -> bool:
        return os.isatty(self.stdin) and os.isatty(self.stdout)

    def write(self, stream: str, data: bytes) -> None:
        target = self.stderr if stream == "stderr" else self.stdout
        while data:
            data = data[os.write(target, data) :]

    @contextmanager
    def attached(self, wire: socket.socket, resize: Resize) -> Iterator[None]:
        """While inside: what is typed goes to `wire`, and `resize` hears of every new window size."""
        with ExitStack() as stack:
            if self.is_terminal:
                stack.enter_context(self._window(resize))
                stack.enter_context(self._raw())
            stack.enter_context(self._typing(wire))
            yield

    @contextmanager
    def _raw(self) -> Iterator[None]:
        before = termios.tcgetattr(self.stdin)
        try:
            tty.setraw(self.stdin)
            yield
        finally:
            termios.tcsetattr(self.stdin, termios.TCSADRAIN, before)

    @contextmanager
    def _window(self, resize: Resize) -> Iterator[None]:
        def tell(*_: object) -> None:
            size = os.get_terminal_size(self.stdout)
            resize(size.lines, size.columns)

        tell()
        if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread
            yield
            return
        before = signal.signal(signal.SIGWINCH, tell)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)

    @contextmanager
    def _typing(self, wire: socket.socket) -> Iterator[None]:
        """Pump stdin in a thread that a pipe can wake, so that it never swallows a key after the command has ended."""
        wake, end = os.pipe()
        pump = threading.Thread(target=self._pump, args=(wire, wake), daemon=True)
        pump.start()
        try:
            yield
        finally:
            os.close(end)
            pump.join()
            os.close(wake)

    def _pump(self, wire: socket.socket, wake: int) -> None:
        try:
            while True:
                ready, _, _ = select.select([self.stdin, wake], [], [])
                if wake in ready:
                    return
                data = os.read(self.stdin, 65536)
                if not data:
                    wire.shutdown(socket.SHUT_WR)
                    return
                wire.sendall(data)
        except OSError:  # the command ended while we wrote, or the terminal went away: the reader sees the end
            return
