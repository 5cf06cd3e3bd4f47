"""`build` and `up`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.frame import Again, Json, app, options, print_json, say, session

if TYPE_CHECKING:
    from builder.tasks.status import Status


@app.command()
def build(context: typer.Context, again: Again = False) -> None:
    """Build the image, and start nothing."""
    from builder.tasks.build import build_image
    from builder.tasks.prepare import prepare, read_request, say_substitutions

    with session(context) as ours:
        read_request(ours)  # a mistake in devbox.yaml ends here, before anything is made
        with ours.workspace.lock("build"):
            prepared = prepare(ours, again=again)
            say_substitutions(ours, prepared.plan.substitutions)
            ours.workspace.write_tree(prepared.image_tree)
            built = build_image(ours, prepared)
    say(f"{prepared.plan.image} {'built' if built else 'is there already: nothing to do'}")


@app.command()
def up(
    context: typer.Context,
    as_json: Json = False,
    again: Again = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Make the container anew; volumes are kept.")] = False,
) -> None:
    """Build, start and wait until the desktop can be used."""
    from builder.shortcut import find_unchanged, take_fingerprint

    directory = options(context).directory
    fingerprint = take_fingerprint(directory, os.environ)
    if not (again or recreate) and (unchanged := find_unchanged(directory, fingerprint, os.environ)):
        _print_up(unchanged, as_json=as_json, changed=False, seconds=None)
        return
    from builder.tasks.status import read_status
    from builder.tasks.up import bring_up

    with session(context) as ours:
        outcome = bring_up(ours, fingerprint=fingerprint, again=again, recreate=recreate)
        status = read_status(ours, outcome.project)
    _print_up(status, as_json=as_json, changed=outcome.changed, seconds=max(outcome.phases.values(), default=None))


def _print_up(status: Status, *, as_json: bool, changed: bool, seconds: float | None) -> None:
    from builder.tasks.status import describe_summary, describe_unchanged

    if as_json:
        print_json(status)
    elif changed:
        say(f"{status.name} is ready" + (f", {seconds:.2f} s after its start" if seconds is not None else ""))
        say(describe_summary(status))
    else:
        say(describe_unchanged(status))
