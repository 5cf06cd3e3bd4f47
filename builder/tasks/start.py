"""Starts the container of a ServiceSpec, whoever came to that spec: a plan (`up`), or what was recorded (`again`).

Imports no parser and no plan: a start without one has to be quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_PLAN, LABEL_SPEC
from builder.errors import EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.owner import claim_volumes
from builder.tasks.ready import wait_ready
from builder.tasks.switch import replacing

if TYPE_CHECKING:
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

WAITING: Final = "waiting until it can be used"


def is_current(container: ContainerView | None, spec: ServiceSpec) -> bool:
    """Whether the container runs, from the planned image, the way that the spec says."""
    return container is not None and container.state == "running" and fits(container, spec)


def fits(container: ContainerView, spec: ServiceSpec) -> bool:
    """Whether it was made as the spec says."""
    return all(container.labels.get(label) == spec.labels[label] for label in (LABEL_PLAN, LABEL_SPEC))


def start_container(
    context: Context, spec: ServiceSpec, container: ContainerView | None, *, recreate: bool
) -> Mapping[str, float]:
    """The phases of its start. A container that is there is started again when it fits, else replaced."""
    image = context.engine().find_image(spec.image)
    if image is None:
        raise EngineError(f"the image {spec.image} vanished after it was built", hint="run `devbox up` again")
    began = announce(context, spec)
    if container is None or (fits(container, spec) and not recreate):
        return wait_started(context, spec, bring_back(context, spec, image.id, container), began)
    _ensure_parts(context, spec)
    if container.state != "created":  # one that never ran is nobody's loss
        context.report(Note(text=f"{container.name} is made anew; its volumes are kept"))
    with replacing(context, spec, image.id, container) as new:
        return wait_started(context, spec, new, began)


def announce(context: Context, spec: ServiceSpec) -> float:
    """When it began."""
    began = context.clock.now()
    context.report(TaskStarted(name="start", text=f"start {spec.container_name}"))
    return began


def bring_back(context: Context, spec: ServiceSpec, image: str, container: ContainerView | None) -> str:
    """The id of what was started just now: `container`, which fits, or a new one."""
    engine = context.engine()
    if container is None:
        _ensure_parts(context, spec)
        context.workspace.intend(f"making {spec.container_name}")
        made = engine.create_container(spec, image)
    else:
        made = container.id
    context.workspace.intend(f"starting {spec.container_name}")
    engine.start(made)
    return made


def _ensure_parts(context: Context, spec: ServiceSpec) -> None:
    context.workspace.intend("making its network and volumes")
    engine = context.engine()
    engine.ensure_network(spec)
    made = [engine.ensure_volume(spec, volume) for volume in spec.volumes]
    if not all(made):
        claim_volumes(context, spec.project)


def wait_started(context: Context, spec: ServiceSpec, container: str, began: float) -> Mapping[str, float]:
    """Until it can be used. Raises NotReadyError."""
    context.report(TaskEnded(name="start", text="container started", seconds=context.clock.now() - began))
    context.workspace.intend(WAITING)
    return wait_ready(context, container, called=spec.container_name)
