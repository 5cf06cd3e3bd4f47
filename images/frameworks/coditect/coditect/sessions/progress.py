"""How far an ingest is, on a terminal. Says nothing anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TextIO

EVERY_S: Final = 0.1

# bytes read, bytes in all, messages read so far
Watch = Callable[[int, int, int], None]


@dataclass
class Progress:
    """One line that is written over; gone at the end."""

    stream: TextIO
    started: float = field(default_factory=time.monotonic)
    _next: float = 0.0

    def __call__(self, read: int, total: int, messages: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_S
        seconds = max(now - self.started, 0.001)
        share = f"{100 * read / total:.0f} %" if total else "0 %"
        rate = f"{read / seconds / 1e6:.0f} MB/s"
        self._write(f"{share} of {show_bytes(total)}, {messages:,} messages, {rate}")

    def say(self, text: str) -> None:
        self._write(text)

    def clear(self) -> None:
        self.stream.write("\r\x1b[K")
        self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"\r\x1b[K{text}")
        self.stream.flush()


def show_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
