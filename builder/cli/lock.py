"""`lock` and `fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.frame import Frozen, Json, Names, app, make_demand, print_json, say, session


@app.command()
def lock(
    context: typer.Context,
    names: Names = None,
    update: Annotated[bool, typer.Option("--update", help="Ask anew what can be had.")] = False,
    frozen: Frozen = False,
    as_json: Json = False,
) -> None:
    """Write devbox-lock.json: what exactly the image is made of. Builds nothing.

    What it already answers stays, but with --update; `devbox up` writes it, too.
    """
    from builder.core.lock import FILE
    from builder.tasks.relock import write_lock

    demand = make_demand(frozen=frozen, update=update, names=names, verb="lock")
    with session(context) as ours:
        done = write_lock(ours, demand)
    if as_json:
        print_json(done)
    else:
        say(f"{FILE} written: {done.packages} packages" if done.written else f"{FILE} is as it should be")


@app.command()
def fetch(context: typer.Context, as_json: Json = False) -> None:
    """Keep here all that the image is made of, for `up --offline` and `build --offline`."""
    from builder.tasks.fetch import fetch_all

    with session(context) as ours:
        done = fetch_all(ours)
    if as_json:
        print_json(done)
    elif done.new or done.base:
        say(f"{done.new} packages fetched, {done.bytes / 1e6:.0f} MB; `--offline` has all that it needs")
    else:
        say("all of it is kept already")
