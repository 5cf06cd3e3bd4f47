"""`devbox lock`: the lock without a build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.core.updates import Change, compare_locks
from builder.tasks.layout import read_request
from builder.tasks.lock import find_known, find_lock, keep_lock, load_lock, look_stale, remember_lock
from builder.tasks.update import say_newer

if TYPE_CHECKING:
    from builder.tasks.demand import Demand
    from builder.tasks.interfaces import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocked:
    written: bool  # whether the file is another one now
    stale: tuple[str, ...]  # why the one that was there did not fit, in words
    changes: tuple[Change, ...]  # packages that differ from those of the one that was there
    packages: int  # how many it holds


def write_lock(context: Context, demand: Demand) -> Relocked:
    """Make the file fit. Raises LockError for a damaged one, and, if `demand` is frozen, for one that does not fit."""
    request = read_request(context)
    with context.workspace.lock("lock"):
        there = load_lock(context)
        before = find_known(context, request)
        if there is None and not (demand.frozen or demand.anew):
            demand = replace(demand, update=())  # a new file begins with what there is now
        lock = find_lock(context, request, demand)
        say_newer(context, before, lock)
        if not demand.frozen:
            keep_lock(context, lock)
            if demand.update is not None:  # else it is as old as the file
                remember_lock(context, request, lock)
        return Relocked(
            written=not demand.frozen and lock != there,
            stale=look_stale(context, request, there) if there else (),
            changes=compare_locks(before, lock) if before else (),
            packages=len(lock.apt) + sum(map(len, lock.npm.values())) + sum(map(len, lock.python.values())),
        )
