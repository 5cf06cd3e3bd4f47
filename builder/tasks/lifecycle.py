"""`stop`, `start`, `down`, `list`: what is done to a workstation that is there, without a look at the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.generations import forget
from builder.tasks.hooks import run_hooks
from builder.tasks.owner import refuse_other_folder, refuse_parts_of_others
from builder.tasks.ready import wait_ready
from builder.tasks.sidecars import find_beside, remove_beside, start_beside, wait_beside
from builder.tasks.switch import settle

if TYPE_CHECKING:
    from builder.model import Runtime
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

STOP_GRACE_S = 10


def find_workstation(context: Context, project: str) -> ContainerView:
    """The workstation of this folder. Raises EngineError when there is none, or when it is another folder's."""
    container = context.engine().find_container(project)
    if container is None:
        raise EngineError(f"there is no workstation {project} here", hint="`devbox up` makes one")
    refuse_other_folder(context, project, container)
    return container


def find_state(context: Context, project: str) -> str:
    """As the engine says it; `absent` where there is no container."""
    container = context.engine().find_container(project)
    return "absent" if container is None else container.state


def find_running(context: Context, project: str) -> ContainerView:
    container = find_workstation(context, project)
    if container.state != "running":
        raise EngineError(f"{container.name} is {container.state}, not running", hint="`devbox start` starts it")
    return container


def stop_workstation(context: Context, project: str) -> bool:
    """Stop it, and what runs beside it; False when nothing ran."""
    with context.workspace.lock("stop"):
        settle(context, project)
        container = find_workstation(context, project)
        beside = find_beside(context, project).values()
        if not any(view.state == "running" for view in (container, *beside)):
            return False
        started = context.clock.now()
        context.report(TaskStarted(name="stop", text=f"stop {container.name}"))
        context.workspace.intend(f"stopping {container.name}")
        for view in (container, *beside):
            context.engine().stop(view.id, STOP_GRACE_S)
        context.report(TaskEnded(name="stop", text=f"{container.name} stopped", seconds=context.clock.now() - started))
        return True


def start_workstation(context: Context, project: str, runtime: Runtime | None = None) -> dict[str, float]:
    """Start what was stopped, and wait until it can be used. `runtime` has its sidecars and hooks, if it has any."""
    with context.workspace.lock("start"):
        settle(context, project)
        container = find_workstation(context, project)
        start_beside(context, project)
        if container.state != "running":
            context.report(TaskStarted(name="start", text=f"start {container.name}"))
            context.workspace.intend(f"starting {container.name}")
            context.engine().start(container.id)
        phases = wait_ready(context, container.name)
        if runtime is not None:
            wait_beside(context, project, runtime.sidecars)
            run_hooks(context, container.id, runtime)
        return phases


def take_down(context: Context, project: str, *, volumes: tuple[str, ...] = (), secrets: bool = False) -> bool:
    """Remove container and network, and exactly the named `volumes`; with `secrets` these, too, which open
    nothing any more. False when there was nothing."""
    with context.workspace.lock("down"):
        engine = context.engine()
        engine.remove_stale_helpers()  # they would hold on to the volumes
        refuse_parts_of_others(context, project)
        container = settle(context, project)
        if container is not None:
            context.report(TaskStarted(name="down", text=f"remove {container.name}"))
            context.workspace.intend(f"removing {container.name}")
            engine.stop(container.id, STOP_GRACE_S)
            engine.remove(container.id)
        beside = remove_beside(context, project)
        context.workspace.intend("removing its network")
        engine.remove_network(project)
        for volume in volumes:
            context.workspace.intend(f"removing the volume {volume}")
            engine.remove_volume(volume)
            context.report(Note(text=f"volume {volume} removed"))
        _forget_volumes(context, project, volumes)
        if volumes:
            forget(context, project)
        if secrets:
            context.handed.forget(project, context.workspace.root)
            context.keys.forget(project, context.workspace.root)
        return container is not None or beside or bool(volumes)


def _forget_volumes(context: Context, project: str, gone: tuple[str, ...]) -> None:
    """Of those that a restore put in the place of the usual ones: the next `up` begins with usual ones again."""
    root = context.workspace.root
    chosen = context.backups.volumes(project, root)
    if left := {key: name for key, name in chosen.items() if name not in gone}:
        if left != dict(chosen):
            context.backups.use_volumes(project, root, left)
    elif chosen:
        context.backups.use_volumes(project, root, {})
