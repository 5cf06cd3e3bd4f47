"""Which ports of this machine a workstation and its sidecars get: free ones, and the same as last time where they are.

Changes nothing; who takes a choice remembers it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.errors import EngineError, HostError
from builder.model import Note, PortRequest, PublishedPort

if TYPE_CHECKING:
    from builder.model import Runtime, ServiceSpec, State
    from builder.tasks.interfaces import Context


def choose_ports(context: Context, runtime: Runtime, state: State, held: set[int]) -> dict[str, int]:
    """A free host port for each, the remembered one first. `held` are those that our own container has now.

    Raises HostError for a pinned port that is busy, naming who has it.
    """
    chosen: dict[str, int] = {}
    for port in runtime.ports:
        remembered = state.ports.get(remember_as(port), port.host)
        first = port.host if port.pinned else remembered
        chosen[port.name] = _free_port(context, port, runtime.bind_of(port.name), first, held, set(chosen.values()))
    return chosen


def keep_ports(context: Context, spec: ServiceSpec, held: set[int]) -> tuple[PublishedPort, ...]:
    """The ports of `spec`, with the next free one where somebody else has one of them now."""
    kept: list[PublishedPort] = []
    for port in spec.ports:
        asked = PortRequest(name=port.name, container=port.container, host=port.host, pinned=False)
        taken = {other.host for other in kept}
        kept.append(replace(port, host=_free_port(context, asked, port.bind, port.host, held, taken)))
    return tuple(kept)


def remember_as(port: PortRequest) -> str:
    """A port is remembered for what was asked: another wish in devbox.yaml starts afresh."""
    return f"{port.name}={port.host}"


def _free_port(context: Context, port: PortRequest, address: str, first: int, held: set[int], taken: set[int]) -> int:
    for candidate in range(first, min(first + 200, 65536)):
        if candidate not in taken and (candidate in held or context.ports.is_free(address, candidate)):
            if candidate != first:
                _say_taken(context, port, first, candidate)
            return candidate
        if port.pinned:
            raise HostError(
                f"port {candidate} is taken by {_holder(context, candidate)}, and `{port.name}` is pinned to it",
                where=context.config_file,
                hint="stop what holds it, or write `pinned: false` to get the next free one",
            )
    raise HostError(f"no free port from {first} on for {port.name}", hint=f"choose another range in ports.{port.name}")


def _say_taken(context: Context, port: PortRequest, wanted: int, got: int) -> None:
    text = f"port {wanted} ({port.name}) is taken by {_holder(context, wanted)}: {got} instead"
    context.report(Note(text=text, level="warning"))


def _holder(context: Context, port: int) -> str:
    """Who has the port: a container by its name, since the process that holds it is only the engine's proxy."""
    try:
        container = context.engine().used_ports().get(port)
    except EngineError:  # `render` needs no engine, so the name of the process has to do
        container = None
    return container or context.ports.holder(port) or "another program"
