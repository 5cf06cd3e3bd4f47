"""`prune`: what nobody needs any more, found and removed. Touches nothing without devbox's labels, and no volume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.labels import (
    LABEL_ARTIFACT,
    LABEL_BASE,
    LABEL_HELPER_IMAGE,
    LABEL_PLAN,
    LABEL_SIDECAR,
    LABEL_WORKSPACE,
)
from builder.core.leftovers import Leftover, find_spare_entries, find_spare_images, find_spare_states, is_way_back
from builder.errors import DevboxError, EngineError
from builder.model import Note
from builder.tasks.sbom import find_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from builder.tasks.interfaces import Context, Estate
    from builder.views import ImageView

LABELS: Final = (LABEL_PLAN, LABEL_BASE, LABEL_ARTIFACT, LABEL_HELPER_IMAGE, LABEL_SIDECAR)
PROJECT: Final = "com.docker.compose.project"
FRESH_S: Final = 3600  # an image that was made within this time may be about to be started
IDLE_DAYS: Final = 30


def find_leftovers(context: Context, estate: Estate, project: str, *, days: int) -> tuple[Leftover, ...]:
    """Images, state of workspaces that are gone, and what the cache has not been asked for in so many `days`.

    No image tells who had it built, and who starts the same has the same one: where others use this engine it is said.
    """
    known, images, living = estate.known(), list_images(context), find_living(context)
    states = tuple(find_spare_states(known, living))
    going = {item.name for item in states}
    staying = [item for item in known if item.folder not in going]
    bases = {item.base for item in staying if item.base}
    wanted = {image for item in staying for image in item.images} | _find_own(context, project)
    wanted |= {image.id for image in images if is_way_back(image, living) or bases & {*image.tags}}
    spare = find_spare_images(
        images, used=context.engine().used_images(), wanted=wanted, newer_than=estate.moment(FRESH_S)
    )
    if find_others(context, estate):
        spare = (replace(item, why=f"{item.why}; it may be somebody else's") for item in spare)
    return (*spare, *states, *find_spare_entries(estate.cached(), days))


def find_others(context: Context, estate: Estate) -> tuple[str, ...]:
    """Names of what other people have on this engine: of folders that are not this person's."""
    engine = context.engine()
    services = {view.name: view.labels[LABEL_WORKSPACE] for view in engine.find_services()}
    parts = {f"{part.kind} {part.name}": part.workspace for part in engine.all_parts() if part.workspace}
    return tuple(name for name, workspace in (services | parts).items() if not estate.is_mine(workspace))


def list_images(context: Context) -> tuple[ImageView, ...]:
    """All that devbox made, once each."""
    found = {image.id: image for label in LABELS for image in context.engine().find_image_ids(label)}
    return tuple(found.values())


def _find_own(context: Context, project: str) -> set[str]:
    """What `build` made for this folder, though nothing runs it yet."""
    try:
        return {find_ours(context, project)[0].id}
    except DevboxError:  # there is none, or devbox.yaml does not say which
        return set()


def find_living(context: Context) -> Collection[str]:
    """Projects that have something on the engine, also those of other people."""
    engine = context.engine()
    containers = {item.labels.get(PROJECT, "") for item in engine.find_services()}
    return containers | {part.project for part in engine.all_parts()}


def remove_leftovers(context: Context, estate: Estate, found: Sequence[Leftover]) -> int:
    """Bytes that came free: of an image those of its own layers. What cannot be removed stays, and is told."""
    freed = 0
    for item in found:
        try:
            if item.kind == "image":
                freed += context.engine().remove_image(item.name)
            else:
                estate.remove(item.name)
                freed += item.bytes
        except EngineError as error:  # a container was made of it meanwhile
            context.report(Note(text=f"{item.name} stays: {error.message}", level="warning"))
    return freed
