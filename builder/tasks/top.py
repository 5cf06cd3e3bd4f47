"""`devbox top`: memory, processor and disk of every workstation on the engine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_WORKSPACE
from builder.core.load import Load
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Engine
    from builder.views import ContainerView

AT_ONCE: Final = 16  # the engine takes a second to measure each


def measure_loads(context: Context) -> tuple[Load, ...]:
    """By name. All are measured side by side, while the engine adds up its disk."""
    engine = context.engine()
    found = engine.find_workstations()
    if not found:
        return ()  # the engine takes seconds to add up a disk of which nothing would be shown
    with ThreadPoolExecutor(AT_ONCE) as pool:
        disks = pool.submit(engine.measure_disks)
        loads = [pool.submit(_measure, engine, container) for container in found]
        measured = [load.result() for load in loads]
        return tuple(_with_disk(load, disks.result()) for load in measured if load)


def _measure(engine: Engine, container: ContainerView) -> Load | None:
    """None where it is gone since it was listed."""
    try:
        stats = engine.stats(container.id) if container.state == "running" else None
    except EngineError:
        if container.id in (found.id for found in engine.find_workstations()):
            raise
        return None
    return Load(
        name=container.labels.get("com.docker.compose.project", container.name),
        state=container.state,
        workspace=container.labels.get(LABEL_WORKSPACE, ""),
        cpu_percent=round(stats.cpu * 100, 1) if stats else 0.0,
        memory_bytes=stats.memory if stats else 0,
        memory_limit_bytes=stats.memory_limit if stats else None,
        disk_bytes=0,
    )


def _with_disk(load: Load, disks: Mapping[str, int]) -> Load:
    return replace(load, disk_bytes=disks.get(load.name, 0))
