"""Verbs that take away what devbox left on a machine: what nobody needs, or all of it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.frame import Json, Yes, app, ask_person, load_config, open_reporter, options, print_json, say, session
from builder.errors import ConfigError, DevboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.core.leftovers import Leftover
    from builder.tasks.interfaces import Context

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")]


@app.command()
def prune(
    context: typer.Context,
    yes: Yes = False,
    dry_run: DryRun = False,
    days: Annotated[
        int, typer.Option("--older-than", min=0, metavar="DAYS", help="Of the cache, what was not used for so long.")
    ] = 30,
    as_json: Json = False,
) -> None:
    """Remove images, state and cache entries that nothing needs any more.

    Shows them first, each with the reason, and asks. No volume goes, and nothing of others.
    """
    from builder.core.leftovers import describe_leftovers, describe_others
    from builder.tasks.prune import find_leftovers, find_others, remove_leftovers
    from builder.wiring import open_estate

    estate = open_estate()
    with session(context) as ours:
        found = find_leftovers(ours, estate, _project_of(ours), days=days)
        if not as_json and found:
            for line in describe_leftovers(found):
                say(line)
            for line in describe_others(find_others(ours, estate), found):
                say(line)
        going = bool(found) and not dry_run and _agree(found, yes=yes)
        freed = remove_leftovers(ours, estate, found) if going else 0
    if as_json:
        print_json({"items": found, "removed": going, "freed_bytes": freed})
    elif not found:
        say("there is nothing that nobody needs")
    elif going:
        say(f"removed; {freed / 1e6:,.1f} MB came free")
    else:
        say("nothing was removed")


def _project_of(context: Context) -> str:
    """Of the folder that this runs in, which need not have a devbox.yaml that can be read."""
    try:
        return load_config(context).name
    except DevboxError:
        return ""


def _agree(found: Sequence[Leftover], *, yes: bool) -> bool:
    return yes or _ask(f"remove these {len(found)}?")


def _ask(question: str) -> bool:
    """Raises ConfigError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody can be asked here", hint="--yes removes, --dry-run only shows")
    return typer.confirm(question, default=False, err=True)


@app.command()
def uninstall(
    context: typer.Context,
    volumes: Annotated[bool, typer.Option("--volumes", help="All volumes, too, with all data in them.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove all that devbox made for you, and prove that nothing is left.

    Volumes stay without --volumes, and passwords of backups in any case; what is left is named.
    """
    from builder.adapters.remote.client import end_tunnels, find_tunnels
    from builder.tasks.uninstall import describe_belongings, find_belongings, refuse_left, remove_belongings
    from builder.wiring import make_context, open_estate, remove_stale_throwaways

    estate = open_estate()
    # Without a log of this run, which would be left in the state directory.
    reporter = open_reporter(context)
    try:
        ours = make_context(
            options(context).directory, reporter, os.environ, host=options(context).host, ask=ask_person
        )
        found, tunnels = find_belongings(ours, estate, volumes=volumes), find_tunnels(os.environ)
        if not as_json:
            for line in describe_belongings(found):
                say(line)
            for item in tunnels:
                say(f"  {'tunnel':<12}  {item.address}")
        going = not (found.is_empty and not tunnels) and not dry_run and (yes or _confirm(found.volumes))
        if going:
            remove_belongings(ours, estate, found, lambda: remove_stale_throwaways(ours))
        left = find_belongings(ours, estate, volumes=volumes, before=found)
        if going:
            end_tunnels(os.environ)  # at last: the engine may be behind one
    finally:
        reporter.close()
    if as_json:
        print_json({"found": found, "removed": going, "left": left})
    elif not going:
        say("there is nothing of devbox here" if found.is_empty and not tunnels else "nothing was removed")
    if going:
        refuse_left(left)
    if going and not as_json:
        kept = ", but for what is kept" if left.kept else ""
        say(f"nothing of devbox is left on the engine, in {' and in '.join(estate.folders)}{kept}")


def _confirm(volumes: Sequence[str]) -> bool:
    """Where data goes, a word has to be typed, as for `down --volumes`."""
    if not volumes:
        return _ask("remove all of this, but for what is kept?")
    if not sys.stdin.isatty():
        raise ConfigError(f"this would destroy {', '.join(volumes)}", hint="say so with --yes")
    typed: str = typer.prompt("type uninstall to destroy all of this", default="", show_default=False, err=True)
    return typed == "uninstall"
