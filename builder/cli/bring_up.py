"""`build` and `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.frame import (
    Again,
    BuildHere,
    Frozen,
    Json,
    Names,
    Offline,
    app,
    environment_of,
    make_demand,
    options,
    print_json,
    say,
    session,
)
from builder.tasks.demand import Demand

if TYPE_CHECKING:
    from builder.tasks.again import Started
    from builder.tasks.interfaces import Context
    from builder.tasks.status import Status


@app.command()
def build(
    context: typer.Context,
    again: Again = False,
    frozen: Frozen = False,
    offline: Offline = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Repeat every step, also of an image that is there.")
    ] = False,
    tag: Annotated[
        str, typer.Option("--tag", help="Name the image so, beside the workstation's.", show_default=False)
    ] = "",
    build_here: BuildHere = False,
    as_json: Json = False,
) -> None:
    """Build the image, or take it from the team's registry, and start nothing."""
    from builder.tasks.build import build_image
    from builder.tasks.headstart import head_start
    from builder.tasks.lock import keep_lock
    from builder.tasks.prepare import prepare, read_request, say_substitutions
    from builder.tasks.send import builder_of

    demand = make_demand(frozen=frozen, offline=offline, again=again)
    with session(context, build_here=build_here) as ours:
        request = read_request(ours)  # a mistake in devbox.yaml ends here, before anything is made
        with ours.workspace.lock("build"), head_start(builder_of(ours)) as head:
            prepared = prepare(ours, request=request, demand=demand, head=None if no_cache else head)
            say_substitutions(ours, prepared.plan.substitutions)
            ours.workspace.write_tree(prepared.image_tree)
            way = build_image(ours, prepared, tag=tag, fresh=no_cache)
            keep_lock(ours, prepared.lock)
    image = tag or prepared.plan.image
    if as_json:
        print_json({"image": image, "how": way.name.lower()})
    else:
        say(f"{image} {way.value}")


@app.command()
def up(
    context: typer.Context,
    names: Names = None,
    as_json: Json = False,
    again: Again = False,
    frozen: Frozen = False,
    offline: Offline = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Make the container anew; volumes are kept.")] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Take newer packages, once an image with them proved itself.")
    ] = False,
    build_here: BuildHere = False,
) -> None:
    """Build, start and wait until the desktop can be used.

    A second time finds nothing to do. A changed devbox.yaml makes a new container beside the old one, which is
    stopped only when the new one is about to start, and comes back where that cannot be used.
    """
    demand = make_demand(frozen=frozen, offline=offline, again=again, update=update, names=names)
    if update:
        from builder.cli.update import update_to_newest

        update_to_newest(context, names=demand.update or (), as_json=as_json, recreate=recreate, build_here=build_here)
        return
    from builder.shortcut import find_unchanged, take_fingerprint

    directory = options(context).directory
    environment = environment_of(context)
    fingerprint = take_fingerprint(directory, environment)
    if not (again or recreate) and (unchanged := find_unchanged(directory, fingerprint, environment)):
        print_up(unchanged, as_json=as_json, changed=False, seconds=None)
        return
    from builder.tasks.again import start_unchanged
    from builder.tasks.status import read_status

    plain = demand == Demand() and not (recreate or build_here)
    with session(context, build_here=build_here) as ours:
        started = start_unchanged(ours, fingerprint) if plain else None
        started = started or _go_the_long_way(ours, fingerprint, demand, recreate=recreate)
        status = read_status(ours, started.project, proved=started.phases)
    seconds = max(started.phases.values(), default=None)
    print_up(status, as_json=as_json, changed=started.changed, seconds=seconds)


def _go_the_long_way(ours: Context, fingerprint: str, demand: Demand, *, recreate: bool) -> Started:
    """By a plan. Imports what a start without one does not pay for."""
    from builder.tasks.again import Started
    from builder.tasks.up import bring_up

    outcome = bring_up(ours, fingerprint=fingerprint, demand=demand, recreate=recreate)
    return Started(project=outcome.project, phases=outcome.phases, changed=outcome.changed)


def print_up(status: Status, *, as_json: bool, changed: bool, seconds: float | None) -> None:
    from builder.tasks.status import describe_summary, describe_unchanged

    if as_json:
        print_json(status)
    elif changed:
        say(f"{status.name} is ready" + (f", {seconds:.2f} s after its start" if seconds is not None else ""))
        say(describe_summary(status))
    else:
        say(describe_unchanged(status))
