"""`devbox outdated`: what the world answers now, held against the lock. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.core.lock import FILE
from builder.core.outdated import Outdated, find_outdated
from builder.errors import LockError
from builder.model import Note
from builder.tasks.closures import ask_newest
from builder.tasks.demand import Demand
from builder.tasks.layout import read_request
from builder.tasks.lock import ask_world, load_lock, look_stale

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context


def ask_outdated(context: Context) -> tuple[Outdated, ...]:
    """What is newer than the lock. Raises LockError where there is none."""
    request = read_request(context)
    lock = load_lock(context)
    if lock is None:
        raise LockError(f"there is no {FILE} yet", hint="`devbox lock` writes it, with all as new as it can be")
    if stale := look_stale(context, request, lock):
        context.report(Note(text=f"{FILE} does not fit devbox.yaml any more: {stale[0]}", level="warning"))
    with context.workspace.lock("outdated"):
        now = ask_world(context, request, lock, Demand(update=()))
        newest = ask_newest(context, request, now)
    return find_outdated(lock, now, newest)
