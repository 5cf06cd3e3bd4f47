"""Answers that several checks share and that cost too much to ask for twice. Must not know what they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bool = False
    value: object = None


class Memo:
    """Makes each named value once, whichever thread asks first. What raises is tried again by the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
        with entry.lock:
            if not entry.made:
                entry.value = make()
                entry.made = True
            return cast("T", entry.value)

    def peek(self, name: str) -> object:
        """The value if it was made, else None."""
        entry = self._entries.get(name)
        return entry.value if entry is not None and entry.made else None
