"""`devbox hosts`: the workstations on each machine as one line each, whoever's they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_WORKSPACE
from builder.errors import EngineError, HostError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.tasks.interfaces import Engine

UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """A workstation on a machine."""

    name: str  # of its project
    state: str  # created, running, exited ...
    age_s: float  # seconds since it was made
    ports: tuple[int, ...]  # that it publishes
    workspace: str  # the folder that it was made from, with the name of its machine before it where that is another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One that a tunnel leads to, or could."""

    address: str  # ssh://...
    trouble: str = ""  # why it was not looked at
    workstations: tuple[There, ...] = ()  # whoever's they are, by name


def look_at(address: str, connect: Callable[[], Engine], now: datetime) -> Machine:
    """One that cannot be looked at says why: the others are listed all the same."""
    try:
        return Machine(address=address, workstations=list_there(connect(), now))
    except (EngineError, HostError, NotReadyError) as error:
        return Machine(address=address, trouble=str(error))


def list_there(engine: Engine, now: datetime) -> tuple[There, ...]:
    return tuple(
        There(
            name=view.labels.get("com.docker.compose.project", view.name),
            state=view.state,
            age_s=round((now - datetime.fromisoformat(view.created)).total_seconds(), 1),
            ports=tuple(sorted(view.ports.values())),
            workspace=view.labels.get(LABEL_WORKSPACE, ""),
        )
        for view in engine.find_workstations()
    )


def describe_age(seconds: float) -> str:
    """In the largest unit of which there is a whole one."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0))} s"
