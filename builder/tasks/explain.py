"""`explain`: what each tool of this folder's image costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.core.contents import find_wanted
from builder.core.cost import Costs, reckon_costs
from builder.core.labels import LABEL_BASE
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.layout import read_request, resolve_for
from builder.tasks.sbom import find_ours
from builder.tasks.status import EMPTY_PHASES, read_phases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.tasks.interfaces import Context
    from builder.views import ImageView


def explain_costs(context: Context) -> Costs:
    """Of the image that the workstation runs, or that was built for it, by the tools that devbox.yaml names now.

    Raises EngineError where there is none.
    """
    request = read_request(context)
    image, reference, _ = find_ours(context, request.config.name)
    resolved = resolve_for(context, request, image.labels.get(LABEL_BASE, request.resolved.base.name))
    started = context.clock.now()
    context.report(TaskStarted(name="explain", text=f"read the layers of {reference}"))
    found = reckon_costs(
        context.engine().read_image(image.id, find_wanted),
        reference,
        resolved.tools,
        rootfs=context.assets.rootfs,
        phases=_find_phases(context, request.config.name, image),
    )
    text = f"{found.packages} packages in {found.layers} layers of {reference}"
    context.report(TaskEnded(name="explain", text=text, seconds=context.clock.now() - started))
    return found


def _find_phases(context: Context, project: str, image: ImageView) -> Mapping[str, float]:
    """Of the last start, where this image runs."""
    container = context.engine().find_container(project)
    if container is None or container.state != "running" or container.image_id != image.id:
        context.report(Note(text="READY stays empty: the workstation does not run"))
        return EMPTY_PHASES
    return read_phases(context, container)
