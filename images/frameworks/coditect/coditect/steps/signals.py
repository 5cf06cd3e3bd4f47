"""SIGINT, SIGTERM and SIGHUP as something to select on, so that the end of a run is orderly."""

from __future__ import annotations

import signal
import socket
import threading
from types import FrameType, TracebackType
from typing import Final

WATCHED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """While it is entered, the signals are collected in `received`, and `fileno` is readable when one has come.

    Python delivers signals to the main thread only; in another one nothing is watched. A signal that is ignored
    (nohup, a job in the background) stays ignored.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[int, object] = {}

    def __enter__(self) -> SignalWatch:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        if threading.current_thread() is threading.main_thread():
            self._wakeup = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
            for signum in WATCHED:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            for signum, handler in self._before.items():
                signal.signal(signum, handler)  # type: ignore[arg-type]
            signal.set_wakeup_fd(self._wakeup)
        self._ours.close()
        self._theirs.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def drain(self) -> None:
        """Make it unreadable again."""
        self._ours.recv(4096)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.received.append(signum)
