"""`devbox rollback`: back to the workstation of before the last change.

The switch is that of every change: what runs now comes back by itself if the one of before cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.core.generations import Generation, is_same
from builder.core.labels import LABEL_PLAN, LABEL_SPEC
from builder.model import Note
from builder.tasks.earlier import Return, describe_way, find_goal, make_hold, plan_back
from builder.tasks.generations import record
from builder.tasks.hooks import run_hooks
from builder.tasks.lock import keep_lock
from builder.tasks.owner import follow
from builder.tasks.prepare import ensure_keys, make_spec, read_request, write_files, write_files_ahead
from builder.tasks.switch import settle
from builder.tasks.up import bring_about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.model import Keys, ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.tasks.prepare import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Where it went."""

    project: str
    image: str
    made: str  # RFC 3339: when that workstation was made
    differs: tuple[str, ...]  # in words
    stays: bool  # whether `up` stays there although devbox.yaml says something else
    phases: Mapping[str, float]


def roll_back(context: Context) -> Rollback:
    """Raises EngineError when there is nothing to go back to, or its image is gone."""
    project = read_request(context).resolved.runtime.project
    with context.workspace.lock("rollback"):
        follow(context, project)
        goal = find_goal(context, project)
        here = context.histories.load(project).current
        prepared = plan_back(context, goal)
        container = settle(context, project)
        keys, _ = ensure_keys(context, prepared.resolved.runtime)
        differs = describe_way(context, here, goal)
        context.report(Note(text=f"back to {goal.spec.image} of {goal.made[:16]}"))
        for words in differs:
            context.report(Note(text=words))
        wish = Return(context=context, prepared=prepared, goal=goal, secrets=keys.folder)
        spec = wish.make(container)
        write_files_ahead(context, prepared, spec)
        wish.ensure_image(container, lambda: None)
        # The id of a plan is that of its build, not of what came out: the same plan may have been built again.
        rebuilt = container is not None and container.image_id != goal.image
        spec, phases = bring_about(wish, spec, container, recreate=rebuilt)
        write_files(context, prepared, spec)
        stays = not _is_wished(context, prepared, keys, goal)
        _remember(context, spec)
        keep_lock(context, prepared.lock)
        changes = tuple(change.turned() for change in here.changes) if here else ()
        hold = make_hold(context, prepared) if stays else None
        record(context, spec, goal.lock or prepared.lock, config=goal.config, hold=hold, changes=changes)
        run_hooks(context, spec.container_name, prepared.resolved.runtime)  # may fail: what runs is written down then
        return Rollback(
            project=project, image=goal.spec.image, made=goal.made, differs=differs, stays=stays, phases=phases
        )


def _is_wished(context: Context, prepared: Prepared, keys: Keys, goal: Generation) -> bool:
    """Whether devbox.yaml stands for the same: after an update it does, after a change of it it does not."""
    ports = {port.name: port.host for port in prepared.resolved.runtime.ports}
    return is_same(replace(goal, spec=make_spec(context, prepared, keys, ports)), goal)


def _remember(context: Context, spec: ServiceSpec) -> None:
    """No fingerprint: the next `up` takes the long way, and says where it stays, or that all is as it should be."""
    state = context.workspace.load_state()
    labels = spec.labels
    context.workspace.save_state(replace(state, fingerprint="", plan=labels[LABEL_PLAN], spec=labels[LABEL_SPEC]))
