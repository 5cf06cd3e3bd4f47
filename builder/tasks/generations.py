"""Keeps the way back: what a workspace ran is written down, its image kept, and older images are removed.

Owns the tag of the image to go back to. Never removes an image that a container, another workspace or a tag of somebody
else still names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.core.generations import Generation, History, Hold, add_generation
from builder.core.leftovers import BACK, OURS
from builder.errors import EngineError
from builder.model import Note

if TYPE_CHECKING:
    from builder.core.lock import Lock
    from builder.core.updates import Change
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.views import ImageView


def record(
    context: Context,
    spec: ServiceSpec,
    lock: Lock | None,
    *,
    config: str | None,
    hold: Hold | None = None,
    changes: tuple[Change, ...] = (),
) -> None:
    """Write down that the workstation of `spec`, which `config` stands for, can be used. What it replaced can be gone
    back to from now on."""
    container = context.engine().find_container(spec.project)
    if container is None:
        return  # taken away meanwhile: there is nothing to tell of
    before = context.histories.load(spec.project)
    new = Generation(
        spec=spec, image=container.image_id, made=container.created, lock=lock, config=config, changes=changes
    )
    after = add_generation(before, new, hold=hold)
    if after == before:
        return
    if after.previous is not None and after.previous != before.previous:
        _keep_image(context, spec.project, after.previous)
    context.histories.save(spec.project, after)
    if after.older:
        context.histories.save(spec.project, replace(after, older=_remove_unused(context, after)))


def _keep_image(context: Context, project: str, previous: Generation) -> None:
    """By a tag beside that of its plan, which a build of the same plan takes away: without any, `docker image prune`
    removes it."""
    if context.engine().find_image(previous.image) is None:
        context.report(Note(text=f"the image of before, {previous.spec.image}, is gone", level="warning"))
        return
    context.engine().tag(previous.image, f"{BACK}{project}")


def mark_unused(context: Context, project: str, image: str) -> None:
    """An image that was built here and not taken into use: it goes when another change succeeded."""
    history = context.histories.load(project)
    if image not in history.older:
        context.histories.save(project, replace(history, older=(*history.older, image)))


def _remove_unused(context: Context, history: History) -> tuple[str, ...]:
    """Remove the older images that nothing uses; those that have to wait."""
    engine = context.engine()
    used = {container.image_id for container in engine.find_workstations()}
    used |= {generation.image for generation in (history.current, history.previous) if generation}
    waiting, freed, removed = [], 0, []
    for image in history.older:
        found = engine.find_image(image)
        if found is None or image in used or not _is_ours_alone(found):
            continue  # gone, or somebody else's matter by now
        try:
            freed += sum(engine.remove_image(name) for name in found.tags or (image,))
            removed.append(found.tags[0] if found.tags else image[:19])
        except EngineError as error:
            waiting.append(image)
            context.report(Note(text=f"an older image stays for now: {error.message}", level="warning"))
    if removed:
        context.report(Note(text=f"removed {', '.join(removed)}, which nothing uses any more: {_size(freed)}"))
    return tuple(waiting)


def _is_ours_alone(image: ImageView) -> bool:
    return all(tag.startswith(OURS) and not tag.startswith(BACK) for tag in image.tags)


def _size(freed: int) -> str:
    if freed:
        return f"{freed / 1e6:.1f} MB came free"
    return "no byte came free, since other images or the build cache share its layers"


def forget(context: Context, project: str) -> None:
    """Give up the way back, with the data of the workstation."""
    try:
        context.engine().remove_image(f"{BACK}{project}")
    except EngineError as error:  # its last name, and somebody's container runs it
        context.report(Note(text=f"the image of before stays: {error.message}", level="warning"))
    context.histories.remove(project)


def add_changes(context: Context, project: str, changes: tuple[Change, ...]) -> None:
    """What the last change meant for the packages, for whoever goes back."""
    history = context.histories.load(project)
    if changes and history.current is not None:
        context.histories.save(project, replace(history, current=replace(history.current, changes=changes)))
