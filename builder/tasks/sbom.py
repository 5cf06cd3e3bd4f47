"""`sbom`: which image is meant, what was asked for when it was made, and the bill of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from builder.core.bill import Bill, make_bill
from builder.core.canonical import canonical_json
from builder.core.contents import find_wanted
from builder.core.labels import LABEL_PLAN, LABEL_REQUESTED_BASE, LABEL_SUBSTITUTIONS
from builder.errors import EngineError
from builder.model import EMPTY, Note, TaskEnded, TaskStarted
from builder.tasks.layout import lay_out, read_request
from builder.tasks.lock import find_known, look_stale
from builder.tasks.owner import refuse_other_folder

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ImageView


def read_bill(context: Context, project: str, reference: str | None) -> Bill:
    """The bill of this folder's image, or of the one that `reference` names. Raises EngineError when there is none."""
    if reference is None:
        image, reference, asked = find_ours(context, project)
    else:
        image = find_image(context, reference)
        asked = _what_was_asked(context, project, image)
    started = context.clock.now()
    context.report(TaskStarted(name="sbom", text=f"read what is in {reference}"))
    bill = make_bill(
        image, reference, asked, context.engine().read_files(image.id, find_wanted), tool=context.assets.version
    )
    text = f"{len(bill.packages)} packages and {len(bill.files)} other files in {reference}"
    context.report(TaskEnded(name="sbom", text=text, seconds=context.clock.now() - started))
    return bill


def find_ours(context: Context, project: str) -> tuple[ImageView, str, Mapping[str, str]]:
    """The image that the workstation runs; before there is one, what `build` made for this folder."""
    container = context.engine().find_container(project)
    if container is not None:
        refuse_other_folder(context, project, container)
        return find_image(context, container.image_id), container.image, container.labels
    # Without a lock nothing was built here, and to plan would mean to ask the network.
    request = read_request(context)
    known = find_known(context, request)
    plan = lay_out(context, request, known).plan if known and not look_stale(context, request, known) else None
    image = context.engine().find_image(plan.image) if plan else None
    if plan is None or image is None:
        raise EngineError(
            f"there is no image for {project} yet", hint="`devbox build` makes it, `devbox up` starts it too"
        )
    asked = {LABEL_REQUESTED_BASE: plan.requested_base, LABEL_SUBSTITUTIONS: canonical_json(plan.substitutions)}
    return image, plan.image, asked


def find_image(context: Context, reference: str) -> ImageView:
    image = context.engine().find_image(reference)
    if image is None:
        raise EngineError(f"the engine has no image {reference}", hint="`devbox build` makes the one of this folder")
    return image


def _what_was_asked(context: Context, project: str, image: ImageView) -> Mapping[str, str]:
    """An image does not know for what it stands in, since others who asked for something else share it."""
    container = context.engine().find_container(project)
    if container is not None and container.image_id == image.id:
        return container.labels
    if LABEL_PLAN in image.labels:
        text = "what this image stands in for is not in the list: only the folder that it was made for knows"
        context.report(Note(text=text, level="warning"))
    return EMPTY
