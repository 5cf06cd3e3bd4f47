"""`stop`, `start`, `down`, `list`: what is done to a workstation that is there, without a look at the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.owner import refuse_other_folder
from builder.tasks.up import wait_ready

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

STOP_GRACE_S = 10


def find_workstation(context: Context, project: str) -> ContainerView:
    """The workstation of this folder. Raises EngineError when there is none, or when it is another folder's."""
    container = context.engine().find_container(project)
    if container is None:
        raise EngineError(f"there is no workstation {project} here", hint="`devbox up` makes one")
    refuse_other_folder(context, container)
    return container


def find_running(context: Context, project: str) -> ContainerView:
    container = find_workstation(context, project)
    if container.state != "running":
        raise EngineError(f"{container.name} is {container.state}, not running", hint="`devbox start` starts it")
    return container


def stop_workstation(context: Context, project: str) -> bool:
    """Stop it; False when it did not run."""
    with context.workspace.lock("stop"):
        container = find_workstation(context, project)
        if container.state != "running":
            return False
        started = context.clock.now()
        context.report(TaskStarted(name="stop", text=f"stop {container.name}"))
        context.engine().stop(container.id, STOP_GRACE_S)
        context.report(TaskEnded(name="stop", text=f"{container.name} stopped", seconds=context.clock.now() - started))
        return True


def start_workstation(context: Context, project: str) -> dict[str, float]:
    """Start what was stopped, and wait until it can be used."""
    with context.workspace.lock("start"):
        container = find_workstation(context, project)
        if container.state != "running":
            context.report(TaskStarted(name="start", text=f"start {container.name}"))
            context.engine().start(container.id)
        return wait_ready(context, container.name)


def take_down(context: Context, project: str, *, volumes: tuple[str, ...] = ()) -> bool:
    """Remove container and network, and exactly the named `volumes`. False when there was nothing."""
    with context.workspace.lock("down"):
        engine = context.engine()
        container = engine.find_container(project)
        if container is not None:
            find_workstation(context, project)  # refuses another folder's
            context.report(TaskStarted(name="down", text=f"remove {container.name}"))
            engine.stop(container.id, STOP_GRACE_S)
            engine.remove(container.id)
        engine.remove_network(project)
        for volume in volumes:
            engine.remove_volume(volume)
            context.report(Note(text=f"volume {volume} removed"))
        return container is not None or bool(volumes)
