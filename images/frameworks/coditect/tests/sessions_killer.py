"""Ends a process with SIGKILL at a chosen step of an ingest: before, after, or amid what reaches the disk."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coditect.sessions import appendlog, index, ingest, keeper, reading, rebuild, stats
from coditect.sessions.index import Index

if TYPE_CHECKING:
    from coditect.store import Store


def ingest_until(step: int, store: Store, paths: Sequence[Path]) -> None:
    """Ingest in tiny batches; be killed at this step, if there are so many. To be called in a process of its own."""
    steps = itertools.count()

    def maybe_die() -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*words: Any, **options: Any) -> Any:
            maybe_die()
            result = act(*words, **options)
            maybe_die()
            return result

        return acting

    def write_halves(descriptor: int, data: memoryview) -> int:
        maybe_die()
        return real_write(descriptor, data[: max(1, len(data) // 2)])

    real_write = os.write
    setattr(os, "write", write_halves)  # noqa: B010 (mypy would not have it assigned)
    for owner, names in (
        (os, ("fsync", "ftruncate")),
        (
            Index,
            ("commit", "create", "put_source", "add_message", "add_spelling", "_insert", "add_quarantine", "close"),
        ),
        (Path, ("replace", "unlink")),
        (stats, ("read_stats",)),
        (rebuild, ("_adopt",)),
    ):
        for name in names:
            setattr(owner, name, around(getattr(owner, name)))
    appendlog.BUFFER = 40  # type: ignore[misc]
    ingest.BATCH = 150  # type: ignore[misc]
    index.TOGETHER = 3  # type: ignore[misc]
    reading.STRIDE = 1  # type: ignore[misc]
    keeper.RECENT = 4  # type: ignore[misc]
    ingest.ingest(store, paths)
