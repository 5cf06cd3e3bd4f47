"""Puts a container in the place of the one that runs, so that nobody loses a working desktop to a change that fails.

The new one is made under a name of its own while the old one goes on running. Then the old one is stopped (both want
the same ports and volumes), and the new one started. Only when it can be used is the old one removed, and the new one
gets its name; until then the old one comes back by itself. What a killed switch leaves is told by the names alone.

Owns that name. Must not know why something is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.errors import EngineError, NotReadyError, PortTakenError
from builder.model import Note
from builder.tasks.owner import follow, refuse_other_folder
from builder.tasks.ready import wait_ready

if TYPE_CHECKING:
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

NEXT: Final = ".next"  # ends the name of one that is not in its place yet; no project has a dot in its name


def settle(context: Context, project: str) -> ContainerView | None:
    """The workstation of `project`, after what a killed switch left was put in order; None where there is none.

    Raises EngineError when it belongs to another folder.
    """
    follow(context, project)
    engine = context.engine()
    here, coming = _find_both(context, project)
    if coming is None:
        return here
    name = coming.name.removesuffix(NEXT)
    if here is not None and not _takes_over(context, here, coming):
        context.report(Note(text=f"a change of {name} was cut off: what was to come is removed, what was there stays"))
        engine.remove(coming.id)
        return here
    context.report(Note(text=f"a change of {name} was cut off at its end: the new one takes its place"))
    if here is not None:
        engine.remove(here.id)
    engine.rename(coming.id, name)
    return replace(coming, name=name)


def find_staying(context: Context, project: str) -> ContainerView | None:
    """The one that `settle` would leave, as things are; nothing is changed."""
    here, coming = _find_both(context, project)
    return coming if coming and (here is None or _takes_over(context, here, coming)) else here


def _find_both(context: Context, project: str) -> tuple[ContainerView | None, ContainerView | None]:
    """The one in its place, and the one that was to come there."""
    engine = context.engine()
    here = engine.find_container(project)
    coming = next((other for other in engine.find_containers(project) if other.name.endswith(NEXT)), None)
    for container in (here, coming):
        if container is not None:
            refuse_other_folder(context, project, container)
    return (None if here and coming and here.id == coming.id else here), coming


def _takes_over(context: Context, here: ContainerView, coming: ContainerView) -> bool:
    """Whether the switch had come so far that only the old one's removal is missing: it is stopped, and the new one
    can be used."""
    if here.state == "running" or coming.state != "running" or coming.health == "unhealthy":
        return False
    try:
        wait_ready(context, coming.id, called=coming.name, aloud=False)
    except (EngineError, NotReadyError):
        return False
    return True


@contextmanager
def replacing(context: Context, spec: ServiceSpec, image_id: str, old: ContainerView) -> Iterator[str]:
    """Start the container of `spec` in place of `old`; its id. When the body ends well, `old` is gone; when anything
    fails, from the making of the new one on, `old` is what it was before, and the error says so."""
    engine = context.engine()
    context.workspace.intend(f"making the next {spec.container_name}")
    new = engine.create_container(spec, image_id, name=f"{spec.container_name}{NEXT}")
    try:
        context.workspace.intend(f"putting the next {spec.container_name} in the place of the one before")
        engine.stop(old.id, spec.stop_grace_s)
        engine.start(new)
        yield new
    except BaseException as error:
        why = _undo(context, new, old)
        if isinstance(error, EngineError | NotReadyError):
            raise _explain(error, why or _look_at(context, old, error), spec) from error
        raise  # an interrupt: whoever sent it does not want to wait for the old one
    context.workspace.intend(f"removing the {spec.container_name} of before")
    engine.remove(old.id)
    engine.rename(new, spec.container_name)


def _undo(context: Context, new: str, old: ContainerView) -> str:
    """Take the new one away and start the old one, if it ran; why that is not possible, or nothing."""
    engine = context.engine()
    try:
        engine.remove(new)
        if old.state == "running":
            engine.start(old.id)
    except EngineError as error:
        why = f"{old.name} of before cannot be started again: {error.message}"
        context.report(Note(text=why, level="warning"))
        return why
    return ""


def _look_at(context: Context, old: ContainerView, error: Exception) -> str:
    """What became of the old one, in words. If it was well it is waited for, so that they are true."""
    if old.state != "running":
        return f"{old.name} stays as it was: {old.state}"
    if old.health == "healthy" and not isinstance(error, PortTakenError):  # that one is tried again, on other ports
        try:
            wait_ready(context, old.id, called=old.name, aloud=False)
        except (EngineError, NotReadyError) as late:
            return f"{old.name} of before was started again: {late.message}"
    return f"{old.name} of before runs again"


def _explain(error: EngineError | NotReadyError, back: str, spec: ServiceSpec) -> EngineError | NotReadyError:
    """The same failure, with what became of the old one, and a hint that still holds: the new one's logs are gone."""
    hint = f"`devbox verify --image {spec.image}` looks at the new one beside it; `devbox up` tries again"
    kept = None if isinstance(error, NotReadyError) else error.hint
    return type(error)(f"{error.message}; {back}", where=error.where, detail=error.detail, hint=kept or hint)
