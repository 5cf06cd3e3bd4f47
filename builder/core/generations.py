"""What a workspace remembers of the workstations that it ran: the one of now, and the one to go back to.

Owns when two of them count as the same, and what is dropped when a new one comes. Must not know where it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from builder.core.canonical import content_id
from builder.core.labels import LABEL_PLAN
from builder.core.lock import Lock  # noqa: TC001  # pydantic reads these at run time
from builder.core.updates import Change  # noqa: TC001  # pydantic reads these at run time
from builder.model import ServiceSpec  # noqa: TC001


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A workstation that could be used, with all that it takes to make it again."""

    spec: ServiceSpec
    image: str  # id: a tag may have gone to another image since
    made: str  # RFC 3339
    lock: Lock | None = None  # what the world had said
    config: str | None = None  # devbox.yaml of then; None where an earlier devbox did not keep it
    changes: tuple[Change, ...] = ()  # packages that differ from those of the one before, where that was looked at

    @property
    def plan(self) -> str:
        return self.spec.labels[LABEL_PLAN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What devbox.yaml said when somebody went back from it: as long as it says the same, `up` stays there."""

    config: str  # hash of the file
    plan: str  # id of what it stands for


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    current: Generation | None = None
    previous: Generation | None = None
    hold: Hold | None = None
    older: tuple[str, ...] = field(default=())  # ids of images that were used here, or meant to be


def is_same(one: Generation, other: Generation) -> bool:
    """Whether going from one to the other would change anything. Ports of this machine come and go by themselves, and
    where the data and secrets are is not what a person goes back from: a restore, or a move of the folder."""
    return _identity(one) == _identity(other)


def _identity(generation: Generation) -> str:
    spec = generation.spec
    ports = tuple(replace(port, host=0) for port in spec.ports)
    volumes = tuple(replace(volume, name="") for volume in spec.volumes)
    anywhere = replace(spec, ports=ports, volumes=volumes, secrets_dir="", labels={})
    return content_id([anywhere, generation.plan, generation.image])


def add_generation(history: History, new: Generation, *, hold: Hold | None = None) -> History:
    """`new` runs now. What it replaced can be gone back to; the image of the one before that joins the older ones."""
    if history.current is not None and is_same(history.current, new):
        return replace(history, current=replace(new, changes=history.current.changes), hold=hold)
    dropped = history.previous
    kept = {new.image, *([history.current.image] if history.current else [])}
    older = [*history.older, *([dropped.image] if dropped else [])]
    return History(
        current=new,
        previous=history.current,
        hold=hold,
        older=tuple(dict.fromkeys(image for image in older if image not in kept)),
    )
