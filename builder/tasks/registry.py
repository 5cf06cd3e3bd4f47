"""Shared images: `push` gives that of this folder to the team's registry, `pull` and each build look for it there.

Owns the name that an image has there, and what has to be true of one that is taken. On the engine it gets the name that
a build would have given it, and loses the registry's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.labels import LABEL_PLAN
from builder.errors import ConfigError, EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.base import download_progress
from builder.tasks.lock import keep_lock
from builder.tasks.owner import find_our_image
from builder.tasks.prepare import prepare

if TYPE_CHECKING:
    from builder.model import Plan
    from builder.tasks.interfaces import Context
    from builder.tasks.prepare import Prepared
    from builder.views import ImageView


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """An image of this folder, and the same in the registry."""

    image: str  # its tag on the engine
    reference: str  # its name in the registry
    changed: bool  # whether anything had to be moved; a push always looks
    digest: str  # of its manifest in the registry; empty where it was here already


def name_shared(registry: str, plan: Plan) -> str:
    return f"{registry}/{plan.image.removeprefix('devbox/')}"


def take_shared(context: Context, prepared: Prepared) -> bool:
    """Before a build: whether the plan's image came from the registry. What stands in the way is told, and no more."""
    if prepared.registry is None:
        return False
    try:
        if _fetch(context, prepared, prepared.registry):
            return True
    except EngineError as error:
        text = f"the shared image is not taken: {error.message}; it is built here instead"
        context.report(Note(text=f"{text} ({error.hint})" if error.hint else text, level="warning"))
    return False


def pull_image(context: Context) -> Shared:
    """Bring this folder's image from the registry. Raises EngineError where it cannot be had there."""
    prepared, registry = _prepare(context)
    reference, image = name_shared(registry, prepared.plan), prepared.plan.image
    if there := find_our_image(context, image, LABEL_PLAN, prepared.plan.id):
        return Shared(image=image, reference=reference, changed=False, digest=_find_digest(there, reference))
    pulled = _fetch(context, prepared, registry)
    if pulled is None:
        raise EngineError(
            f"there is no {reference}",
            hint="`devbox push` on a machine that has built it shares it; `devbox build` makes it here",
        )
    keep_lock(context, prepared.lock)
    return Shared(image=image, reference=reference, changed=True, digest=_find_digest(pulled, reference))


def push_image(context: Context) -> Shared:
    """Give this folder's image to the registry, as what `up` looks for elsewhere."""
    prepared, registry = _prepare(context)
    plan = prepared.plan
    image = find_our_image(context, plan.image, LABEL_PLAN, plan.id)
    if image is None:
        raise EngineError(f"the engine has no {plan.image}", hint="`devbox build` makes it")
    reference = name_shared(registry, plan)
    started = context.clock.now()
    context.workspace.intend(f"pushing {reference}")
    context.report(TaskStarted(name="push", text=f"push {reference}"))
    with _alone(context, plan), _named(context, reference):
        context.engine().tag(image.id, reference)
        digest = context.engine().push(reference, download_progress(context, "push", f"{plan.image}, unpacked"))
    context.report(TaskEnded(name="push", text=f"{reference} is there", seconds=context.clock.now() - started))
    return Shared(image=plan.image, reference=reference, changed=True, digest=digest)


def _prepare(context: Context) -> tuple[Prepared, str]:
    prepared = prepare(context)
    if prepared.registry is None:
        raise ConfigError(
            "no registry is set",
            where=context.config_file,
            hint="write `cache: {registry: host/path}` to share images through it",
        )
    return prepared, prepared.registry


def _fetch(context: Context, prepared: Prepared, registry: str) -> ImageView | None:
    """The plan's image, pulled and named as ours; None where the registry has none. Raises EngineError."""
    engine, plan = context.engine(), prepared.plan
    reference = name_shared(registry, plan)
    context.workspace.intend(f"looking for {reference}")
    started = context.clock.now()
    context.report(TaskStarted(name="pull", text=f"look for {reference}"))
    text, failed = f"{reference} cannot be had", True
    try:
        with _alone(context, plan), _named(context, reference):
            if here := find_our_image(context, plan.image, LABEL_PLAN, plan.id):  # whom we waited for brought it
                text, failed = f"{plan.image} is there", False
                return here
            image = engine.fetch_shared(reference, download_progress(context, "pull", reference))
            if image is None:
                text, failed = f"there is no {reference} yet", False
                return None
            _refuse_another(image, plan, prepared.resolved.arch, reference)
            engine.tag(image.id, plan.image)
            text, failed = f"{reference} pulled", False
            return image
    finally:
        context.report(TaskEnded(name="pull", text=text, seconds=context.clock.now() - started, failed=failed))


def _alone(context: Context, plan: Plan) -> AbstractContextManager[None]:
    """Of all folders with this plan: one would take away the name that the other one pulls or pushes by."""

    def say(who: str) -> None:
        context.report(Note(text=f"waiting for {who}, which moves {plan.image}", level="warning"))

    return context.sources.alone(f"image-{plan.id[:12]}", say)


@contextmanager
def _named(context: Context, reference: str) -> Iterator[None]:
    """For as long as the registry's name is needed on the engine. One that a person gave before stays."""
    engine = context.engine()
    known = engine.find_image(reference) is not None
    try:
        yield
    except BaseException:
        with suppress(EngineError):  # what went wrong before is what has to be told
            if not known:
                engine.remove_image(reference)
        raise
    if not known:
        engine.remove_image(reference)


def _refuse_another(image: ImageView, plan: Plan, arch: str, reference: str) -> None:
    """The name alone proves nothing: raises EngineError unless its labels are those that a build would have given."""
    other = [name for name, value in plan.labels.items() if image.labels.get(name) != value]
    if not other and image.arch == arch:
        return
    why = f"its labels {', '.join(other)} are not the plan's" if other else f"it is for {image.arch}, not {arch}"
    raise EngineError(
        f"{reference} is another image: {why}",
        hint="somebody gave that name to something else: `devbox push`, once it is built, puts the right one there",
    )


def _find_digest(image: ImageView, reference: str) -> str:
    """What the registry calls it, as long as the engine knows that."""
    start = f"{reference.rpartition(':')[0]}@"
    return next((known.removeprefix(start) for known in image.digests if known.startswith(start)), "")
