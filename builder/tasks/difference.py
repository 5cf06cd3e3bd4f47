"""`devbox diff`: what `up` would make anew, and why. Asks no mirror, and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.core.difference import Difference, ImageDifference, compare_image, explain_container
from builder.core.labels import LABEL_PLAN, LABEL_PREFIX, LABEL_SPEC
from builder.core.lock import FILE
from builder.core.service import Site, make_service
from builder.core.updates import compare_locks
from builder.tasks.earlier import read_hold
from builder.tasks.layout import lay_out, read_request
from builder.tasks.lock import find_known, look_stale, same_base
from builder.tasks.ports import remember_as

if TYPE_CHECKING:
    from builder.core.generations import Generation
    from builder.core.lock import Lock
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.views import ContainerView


def find_difference(context: Context) -> Difference:
    """What devbox.yaml and the lock say, held against what runs. What the lock does not answer is taken as named."""
    request = read_request(context)
    known = find_known(context, request)
    stale = look_stale(context, request, known) if known else (f"there is no {FILE} yet",)
    prepared = lay_out(context, request, known if known and same_base(request, known) else None)
    project = prepared.resolved.runtime.project
    container = context.engine().find_container(project)
    if container is None:
        return Difference(container=("there is no workstation yet",), lock=stale)
    if read_hold(context, prepared) is not None:  # which says so
        return Difference(lock=stale)
    here = context.histories.load(project).current
    if here is not None and here.spec.labels[LABEL_SPEC] != container.labels.get(LABEL_SPEC):
        here = None  # made by something else: nobody wrote down how
    return Difference(
        image=_compare_images(context, prepared, container, here, known),
        container=explain_container(here.spec, _wish(context, prepared, here.spec)) if here else (),
        lock=stale,
    )


def _compare_images(
    context: Context, prepared: Prepared, container: ContainerView, here: Generation | None, lock: Lock | None
) -> ImageDifference | None:
    plan = prepared.plan
    if container.labels.get(LABEL_PLAN) == plan.id:
        return None
    image = context.engine().find_image(container.image_id)
    labels = image.labels if image else {}
    return compare_image(
        image.tags[0] if image and image.tags else container.image_id[:19],
        labels.get(f"{LABEL_PREFIX}profile", plan.profile),
        json.loads(labels.get(f"{LABEL_PREFIX}steps", "{}")),
        plan,
        compare_locks(here.lock, lock) if here and here.lock and lock else (),
    )


def _wish(context: Context, prepared: Prepared, before: ServiceSpec) -> ServiceSpec:
    """The container that devbox.yaml asks for, at the ports that it would get as long as nobody takes one."""
    runtime, remembered = prepared.resolved.runtime, context.workspace.load_state().ports
    site = Site(
        workspace=str(context.workspace.root),
        secrets_dir=before.secrets_dir,
        ports={
            port.name: port.host if port.pinned else remembered.get(remember_as(port), port.host)
            for port in runtime.ports
        },
        volumes=context.backups.volumes(runtime.project, context.workspace.root),
    )
    return make_service(prepared.plan, runtime, site, context.assets.service)
