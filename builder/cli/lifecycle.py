"""Verbs that stop, start and remove a workstation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.frame import Json, Yes, app, print_json, project_of, say, session
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.core.backups import Taken
    from builder.tasks.interfaces import Context


@app.command()
def stop(context: typer.Context, as_json: Json = False) -> None:
    """Stop the workstation; everything in it is kept."""
    from builder.tasks.lifecycle import stop_workstation

    with session(context) as ours:
        project = project_of(ours)
        stopped = stop_workstation(ours, project)
    if as_json:
        print_json({"name": project, "changed": stopped})
    else:
        say(f"{project} {'stopped' if stopped else 'does not run: nothing to do'}")


@app.command()
def start(context: typer.Context, as_json: Json = False) -> None:
    """Start a stopped workstation and wait until it can be used."""
    from builder.tasks.layout import read_request
    from builder.tasks.lifecycle import start_workstation
    from builder.tasks.status import read_status

    with session(context) as ours:
        project = project_of(ours)
        written = ours.config_text or b""
        asks = b"sidecars" in written or b"hooks" in written  # others need no catalogue for a start
        phases = start_workstation(ours, project, read_request(ours).resolved.runtime if asks else None)
        status = read_status(ours, project, proved=phases) if as_json else None
    if status is not None:
        print_json(status)
    else:
        say(f"{project} is ready, {max(phases.values(), default=0):.2f} s after its start")


@app.command()
def down(
    context: typer.Context,
    volumes: Annotated[bool, typer.Option("--volumes", help="Remove its volumes too, with all data in them.")] = False,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Make none before the volumes go, even where a place for it is set.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove container and network; the volumes stay.

    With --volumes all data goes, and with it the secrets, which open nothing any more; the password of the
    backups stays. First it shows what is in the volumes, has the name typed, and makes a backup where `backup`
    is set.
    """
    from builder.tasks.lifecycle import take_down
    from builder.wiring import remove_stale_throwaways

    with session(context) as ours:
        project = project_of(ours)
        doomed = ours.engine().volumes(project) if volumes else ()
        taken = _prepare_loss(ours, project, doomed, yes=yes, silent=as_json, backup=not no_backup) if doomed else None
        removed = take_down(ours, project, volumes=doomed, secrets=volumes)
        remove_stale_throwaways(ours)
        kept = ours.engine().volumes(project)
    if as_json:
        print_json({"name": project, "changed": removed, "destroyed": doomed, "kept": kept, "backup": taken})
        return
    if taken is not None:
        say(f"snapshot {taken.snapshot[:8]} in {taken.repository}")
    say(f"{project} {'removed' if removed else 'is not there: nothing to do'}")
    if kept:
        say(f"kept: {', '.join(kept)} (`devbox down --volumes` removes them)")


def _prepare_loss(
    context: Context, project: str, doomed: tuple[str, ...], *, yes: bool, silent: bool, backup: bool
) -> Taken | None:
    """Say what is lost, have it agreed to, and back it up where there is a place for that. A backup that fails is an
    error, and nothing is removed. Raises ConfigError where it has to be agreed to and nobody shall be asked."""
    from builder.cli.backups import backs_up_first, confirm_loss
    from builder.tasks.backup import take_backup
    from builder.tasks.owner import refuse_others

    if silent and not yes:
        raise ConfigError(f"this would destroy {', '.join(doomed)}", hint="with --json nobody is asked: say --yes")
    refuse_others(context, project)
    backed_up = backs_up_first(context, doomed, wanted=backup)
    if not yes:
        confirm_loss(context, project, doomed)
    return take_backup(context) if backed_up else None
