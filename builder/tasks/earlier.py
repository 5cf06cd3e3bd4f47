"""An earlier workstation: which one can be gone back to, what differs there, and how long `up` stays with it.

Must not start or stop anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

from builder.core.canonical import bytes_id
from builder.core.generations import Generation, Hold
from builder.core.labels import LABEL_PREFIX, LABEL_WORKSPACE
from builder.core.plan import explain_labels
from builder.core.stamp import stamp
from builder.errors import EngineError
from builder.model import Note
from builder.tasks.lock import look_stale
from builder.tasks.ports import keep_ports
from builder.tasks.prepare import lay_out, move_in, prepare, read_request

if TYPE_CHECKING:
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.tasks.prepare import Prepared
    from builder.views import ContainerView, ImageView

# Parts of a spec that a person knows by these names of devbox.yaml.
NAMED: Final[Mapping[str, str]] = {
    "environment": "environment", "ports": "ports", "mounts": "mounts", "memory": "resources.memory",
    "cpus": "resources.cpus", "pids": "resources.pids", "shm": "resources.shm", "read_only": "security",
}  # fmt: skip


def read_hold(context: Context, prepared: Prepared) -> Generation | None:
    """The workstation that somebody went back to, if devbox.yaml says what it said then, and its image is there."""
    history = context.histories.load(prepared.resolved.runtime.project)
    held = history.current
    if history.hold is None or held is None or history.hold != make_hold(context, prepared):
        return None
    if context.engine().find_image(held.image) is None:
        context.report(Note(text=f"the image {held.spec.image}, which was gone back to, is gone", level="warning"))
        return None
    context.report(Note(text=f"stays with {held.spec.image} of {held.made[:16]}, which `devbox rollback` went back to"))
    context.report(Note(text="a change of devbox.yaml, or `devbox up --update`, goes on from there"))
    return held


def plan_held(context: Context, held: Generation) -> Prepared | None:
    """What the devbox.yaml of then stands for. None where that was not kept, or stands for something else by now."""
    if held.config is None or held.lock is None:
        return None
    then = replace(context, config_text=held.config.encode())
    request = read_request(then)
    if look_stale(then, request, held.lock):
        return None
    prepared = lay_out(then, request, held.lock)
    return prepared if prepared.plan.id == held.plan else None


def make_hold(context: Context, prepared: Prepared) -> Hold:
    return Hold(config=bytes_id(context.config_text or b""), plan=prepared.plan.id)


def find_goal(context: Context, project: str) -> Generation:
    """What to go back to. Raises EngineError where there is nothing, or its image is gone."""
    goal = context.histories.load(project).previous
    if goal is None:
        raise EngineError(
            "there is nothing to go back to: this workstation was not changed since it was made",
            hint="`devbox up` keeps what ran before each change, and `devbox up --update` before each update",
        )
    if context.engine().find_image(goal.image) is None:
        raise EngineError(
            f"the image {goal.spec.image} of {goal.made[:16]} is not on the engine any more",
            hint="`devbox up` builds what devbox.yaml says; an earlier devbox.yaml builds its image again",
        )
    return goal


def plan_back(context: Context, goal: Generation) -> Prepared:
    """What devbox.yaml stands for with the lock of `goal`, where that answers what is asked now."""
    request = read_request(context)
    if goal.lock is not None and not look_stale(context, request, goal.lock):
        return lay_out(context, request, goal.lock)
    return prepare(context)


def describe_way(context: Context, here: Generation | None, goal: Generation) -> tuple[str, ...]:
    """What differs over there, in words."""
    if here is None:
        return ()
    engine = context.engine()
    now, then = engine.find_image(here.image), engine.find_image(goal.image)
    words = list(explain_labels(_steps(now), _steps(then))) if now and then and now.id != then.id else []
    words += [str(change.turned()) for change in here.changes]
    changed = [field.name for field in fields(goal.spec) if _differs(field.name, here.spec, goal.spec)]
    return (*words, *(f"{NAMED[name]} of devbox.yaml is that of then" for name in changed if name in NAMED))


def _steps(image: ImageView) -> Mapping[str, list[str]]:
    found: Mapping[str, list[str]] = json.loads(image.labels.get(f"{LABEL_PREFIX}steps", "{}"))
    return found


def _differs(name: str, one: ServiceSpec, other: ServiceSpec) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A wish (see `up`) for a workstation that was there before."""

    context: Context
    prepared: Prepared
    goal: Generation
    secrets: str  # the folder that they are in now

    def make(self, container: ContainerView | None) -> ServiceSpec:
        held = set(container.ports.values()) if container is not None else set()
        spec = move_in(self.context, self.goal.spec)
        ports = keep_ports(self.context, spec, held)
        labels = {**spec.labels, LABEL_WORKSPACE: str(self.context.workspace.root)}
        return stamp(replace(spec, ports=ports, secrets_dir=self.secrets, labels=labels))

    def ensure_image(self, container: ContainerView | None, ahead: Callable[[], None]) -> None:
        """Give the image its name back, which a later build of the same plan may have taken."""
        engine = self.context.engine()
        named = engine.find_image(self.goal.spec.image)
        if named is None or named.id != self.goal.image:
            engine.tag(self.goal.image, self.goal.spec.image)
