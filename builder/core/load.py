"""What each workstation costs its machine right now, as `devbox top` says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from builder.core.table import align, mega

HEAD: Final = ("NAME", "STATE", "CPU", "MEMORY", "LIMIT", "DISK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Of one workstation. One that does not run takes neither processor nor memory, but its disk."""

    name: str  # of the workstation
    state: str  # as in `status`
    workspace: str  # its folder
    cpu_percent: float  # of one core
    memory_bytes: int  # without the page cache that can be dropped
    memory_limit_bytes: int | None  # null: it does not run
    disk_bytes: int  # what it wrote, and its volumes; not the image, which others may share


def describe_loads(loads: Sequence[Load]) -> Iterator[str]:
    """A table, one workstation a line."""
    yield from align([HEAD, *map(_row, loads)], right=range(2, len(HEAD)))


def _row(load: Load) -> tuple[str, ...]:
    if load.memory_limit_bytes is None:
        return load.name, load.state, "-", "-", "-", _mega(load.disk_bytes)
    used, limit = _mega(load.memory_bytes), _mega(load.memory_limit_bytes)
    return load.name, load.state, f"{load.cpu_percent:.1f} %", used, limit, _mega(load.disk_bytes)


def _mega(size: int) -> str:
    return f"{mega(size)} MB"
