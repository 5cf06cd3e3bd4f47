"""`devbox up --update`: what can be had anew, proved beside what runs, and only then put in its place.

Owns the order: ask, build, prove, remember, switch. Until the switch nothing that a later `up` reads has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.contents import find_wanted, read_contents
from builder.core.labels import LABEL_PLAN
from builder.core.packages import Package, find_packages
from builder.core.updates import Change, compare_locks, find_changes
from builder.errors import DevboxError, VerifyError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.demand import Demand
from builder.tasks.generations import add_changes, mark_unused
from builder.tasks.layout import lay_out, read_request
from builder.tasks.lock import find_known, find_lock, keep_lock, remember_lock
from builder.tasks.send import builder_of
from builder.tasks.switch import find_staying
from builder.tasks.up import Outcome, converge

if TYPE_CHECKING:
    from builder.core.lock import Lock
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.views import ImageView

SHOWN: Final = 20  # packages that are named; how many there are is said in any case
Check = Callable[["Prepared"], None]  # raises VerifyError or NotReadyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    outcome: Outcome
    before: str  # tag of the image that ran; empty where none did
    changes: tuple[Change, ...]  # packages that differ between both images


def update_workstation(
    context: Context, *, fingerprint: str, check: Check, names: tuple[str, ...] = (), recreate: bool = False
) -> Update:
    """`check` looks at a throw-away of the new image; `names` are the tools and packages that are asked anew, none are
    all. Raises what `check` raises, and what `up` does: then all is as it was before, the lock too."""
    request = read_request(context)
    project = request.resolved.runtime.project
    with context.workspace.lock("up --update"):
        context.histories.load(project)  # one that cannot be read is told before the work, not after the switch
        before = find_known(builder_of(context), request)
        lock = find_lock(builder_of(context), request, Demand(update=names))
        say_newer(context, before, lock)
        prepared = lay_out(context, request, lock)
        running = _find_image_of(context, prepared)
        known = context.engine().find_image(prepared.plan.image) is not None
        changes: list[Change] = []

        def prove() -> None:
            if running is None or running.labels.get(LABEL_PLAN) != prepared.plan.id:
                _prove(context, prepared, check)
                changes.extend(_compare(context, running, prepared.plan.image) if running else ())

        try:
            outcome = converge(
                context, prepared, fingerprint=fingerprint, recreate=recreate, stay=False, before_switch=prove
            )
        except BaseException:
            _take_back(context, prepared, known=known)
            raise
        remember_lock(context, request, lock)
        add_changes(context, project, tuple(changes))
        if not outcome.changed:
            context.report(Note(text="there is nothing newer", level="done"))
        return Update(outcome=outcome, before=_name_of(running), changes=tuple(changes))


def say_newer(context: Context, before: Lock | None, after: Lock) -> None:
    if before is not None and (changes := compare_locks(before, after)):
        say_changes(context, changes, f"other than in the lock: {len(changes)}")


def _name_of(image: ImageView | None) -> str:
    return image.tags[0] if image and image.tags else ""


def _find_image_of(context: Context, prepared: Prepared) -> ImageView | None:
    """The image of the workstation that is there."""
    container = context.engine().find_container(prepared.resolved.runtime.project)
    return context.engine().find_image(container.image_id) if container is not None else None


def _take_back(context: Context, prepared: Prepared, *, known: bool) -> None:
    """After a failure: the lock stays what it was, unless the new one is in its place already: the next `up` would
    leave it again. Never raises: the failure is what has to be told."""
    project = prepared.resolved.runtime.project
    try:
        staying = find_staying(context, project)
        if staying is not None and staying.labels.get(LABEL_PLAN) == prepared.plan.id:
            keep_lock(context, prepared.lock)
        elif not known and (built := context.engine().find_image(prepared.plan.image)):
            mark_unused(context, project, built.id)
    except DevboxError as error:
        context.report(Note(text=f"the update could not be taken back wholly: {error.message}", level="warning"))


# -------------------------------------------------------------------------------------------------------- prove


def _prove(context: Context, prepared: Prepared, check: Check) -> None:
    context.report(Note(text=f"{prepared.plan.image} is tried beside what runs"))
    try:
        check(prepared)
    except VerifyError as error:
        raise VerifyError(
            f"{prepared.plan.image} is not taken, and what ran before still runs: {error.message}",
            where=error.where,
            detail=error.detail,
            hint=f"`devbox verify --image {prepared.plan.image}` shows all of it; `devbox up --update` tries again",
        ) from error


def _compare(context: Context, running: ImageView, new: str) -> tuple[Change, ...]:
    """What differs between the packages of both images, told."""
    began = context.clock.now()
    context.report(TaskStarted(name="compare", text="compare the packages of both images"))
    with ThreadPoolExecutor(2, thread_name_prefix="compare") as pool:
        before, after = pool.map(lambda image: _read_packages(context, image), (running.id, new))
    changes = find_changes(before, after)
    text = f"packages that differ: {len(changes)}" if changes else "the packages are the same"
    context.report(TaskEnded(name="compare", text=text, seconds=context.clock.now() - began))
    say_changes(context, changes, "")
    return changes


def _read_packages(context: Context, image: str) -> tuple[Package, ...]:
    return find_packages(read_contents(context.engine().read_files(image, find_wanted)))


def say_changes(context: Context, changes: tuple[Change, ...], title: str) -> None:
    if title:
        context.report(Note(text=title))
    for change in changes[:SHOWN]:
        context.report(Note(text=str(change)))
    if len(changes) > SHOWN:
        context.report(Note(text=f"and {len(changes) - SHOWN} more; --json lists all of them"))
