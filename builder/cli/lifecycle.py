"""Verbs that stop, start and remove a workstation."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from builder.cli.frame import Yes, app, project_of, say, session
from builder.errors import ConfigError


@app.command()
def stop(context: typer.Context) -> None:
    """Stop the workstation; everything in it is kept."""
    from builder.tasks.lifecycle import stop_workstation

    with session(context) as ours:
        project = project_of(ours)
        stopped = stop_workstation(ours, project)
    say(f"{project} {'stopped' if stopped else 'does not run: nothing to do'}")


@app.command()
def start(context: typer.Context) -> None:
    """Start a stopped workstation and wait until it can be used."""
    from builder.tasks.lifecycle import start_workstation

    with session(context) as ours:
        project = project_of(ours)
        phases = start_workstation(ours, project)
    say(f"{project} is ready, {max(phases.values(), default=0):.2f} s after its start")


@app.command()
def down(
    context: typer.Context,
    volumes: Annotated[bool, typer.Option("--volumes", help="Remove its volumes too, with all data in them.")] = False,
    yes: Yes = False,
) -> None:
    """Remove container and network; the volumes stay."""
    from builder.tasks.lifecycle import take_down
    from builder.wiring import remove_stale_throwaways

    with session(context) as ours:
        project = project_of(ours)
        doomed = ours.engine().volumes(project) if volumes else ()
        if doomed and not yes:
            _confirm_loss(project, doomed)
        removed = take_down(ours, project, volumes=doomed)
        remove_stale_throwaways(ours)
        kept = ours.engine().volumes(project)
    say(f"{project} {'removed' if removed else 'is not there: nothing to do'}")
    if kept:
        say(f"kept: {', '.join(kept)} (`devbox down --volumes` removes them)")


def _confirm_loss(project: str, doomed: tuple[str, ...]) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--volumes would destroy {', '.join(doomed)}", hint="say so with --yes, since nobody can be asked here"
        )
    say(f"this destroys {', '.join(doomed)} and all data in them")
    if typer.prompt(f"type {project} to go on", default="", show_default=False) != project:
        raise ConfigError("the name was not typed: nothing was removed")
