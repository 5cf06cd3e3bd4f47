"""Verbs that keep the volumes elsewhere, and bring them back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from builder.cli.completion import complete_workstation
from builder.cli.frame import Json, Yes, app, environment_of, load_config, options, print_json, project_of, say, session
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.core.backups import Restored
    from builder.tasks.interfaces import Context


@app.command()
def backup(
    context: typer.Context,
    as_json: Json = False,
    cron: Annotated[
        bool, typer.Option("--cron", help="Only print a line for crontab that makes one every night.")
    ] = False,
) -> None:
    """Back the volumes up, encrypted, to the place that devbox.yaml names.

    The workstation may run meanwhile.
    """
    from builder.tasks.backup import cron_line, take_backup

    with session(context) as ours:
        if cron:
            say(cron_line([sys.executable, "-m", "builder"], str(ours.workspace.root), project_of(ours)))
            return
        taken = take_backup(ours)
    if as_json:
        print_json(taken)
        return
    say(f"snapshot {taken.snapshot[:8]} in {taken.repository}")
    say(f"{taken.files} files, {taken.bytes / 1e6:,.1f} MB, of which {taken.added / 1e6:,.1f} MB are new there")


@app.command()
def backups(
    context: typer.Context,
    as_json: Json = False,
    everyone: Annotated[
        bool, typer.Option("--all", help="Also those of other workstations in the same place.")
    ] = False,
) -> None:
    """List the backups that are there."""
    from builder.tasks.backup import list_backups

    with session(context) as ours:
        found = list_backups(ours, everyone=everyone)
    if as_json:
        print_json(list(found))
        return
    if not found:
        say("there are no backups; `devbox backup` makes one")
    for item in found:
        say(f"{item.id[:8]}  {item.time[:19].replace('T', ' ')}  {item.name:<20}  {', '.join(item.volumes)}")


@app.command()
def restore(
    context: typer.Context,
    snapshot: Annotated[str, typer.Argument(help="An id of `devbox backups`.")] = "latest",
    beside: Annotated[
        Optional[str],  # noqa: UP045  # typer reads it at run time on 3.10
        typer.Option("--to", help="Restore as the volumes of a workstation of this name; replace nothing."),
    ] = None,
    origin: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--from",
            help="The latest of the workstation of this name.",
            show_default="this one",
            autocompletion=complete_workstation,
        ),
    ] = None,
    despite: Annotated[
        bool, typer.Option("--accept-differences", help="Take also what is not as it was backed up.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard-old", help="Only remove the volumes that this workstation does not use.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Bring a backup back: into new volumes, compared file by file, then in the place of the old ones.

    The old ones stay, until `devbox restore --discard-old`.
    """
    if discard:
        _discard_old(context, yes=yes)
        return
    from builder.shortcut import take_fingerprint
    from builder.tasks.lifecycle import find_state
    from builder.tasks.restore import find_unused, restore_snapshot
    from builder.tasks.up import bring_up

    def agree(restored: Restored, old: Mapping[str, str]) -> bool:
        return yes or _ask_to_replace(restored, old)

    def before(old: Mapping[str, str]) -> None:
        if old and not yes:
            _refuse_unasked(old)

    with session(context) as ours:
        project = project_of(ours)
        state = find_state(ours, project)
        restored, agreed = restore_snapshot(
            ours,
            snapshot,
            origin=_check_name(origin),
            beside=_check_name(beside),
            despite=despite,
            agree=agree,
            before=before,
        )
        if agreed and not beside and state == "running":
            bring_up(ours, fingerprint=take_fingerprint(options(context).directory, environment_of(context)))
        unused = find_unused(ours, project)
    if not agreed:
        raise ConfigError("nothing was replaced", hint="`devbox restore --to NAME` restores it beside")
    _say_restored(restored, beside, running=state == "running")
    if unused and not beside:
        say(f"not in use, and kept: {', '.join(unused)} (`devbox restore --discard-old` removes them)")


def _refuse_unasked(old: Mapping[str, str]) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"this would take the place of {', '.join(old.values())}",
            hint="say so with --yes, since nobody can be asked here; what is there is kept beside",
        )


def _ask_to_replace(restored: Restored, old: Mapping[str, str]) -> bool:
    say(f"{restored.files} files of {restored.snapshot.time[:19].replace('T', ' ')} are restored and proved")
    say(f"they take the place of {', '.join(old.values())}, which are kept")
    return typer.confirm("go on?", default=False)


def _say_restored(restored: Restored, beside: str | None, *, running: bool) -> None:
    say(f"{restored.files} files, {restored.bytes / 1e6:,.1f} MB, in {', '.join(restored.volumes.values())}")
    if beside:
        say(f"a devbox.yaml in another folder with `name: {beside}` takes them at `devbox up`")
    elif not running:
        say("`devbox up` starts the workstation with them")


def _discard_old(context: typer.Context, *, yes: bool) -> None:
    from builder.tasks.restore import discard_unused, find_unused

    with session(context) as ours:
        project = project_of(ours)
        unused = find_unused(ours, project)
        if not unused:
            say("there is nothing to discard: every volume is in use")
            return
        if not yes:
            confirm_loss(ours, project, unused)
        discard_unused(ours, project, unused)


def confirm_loss(context: Context, project: str, doomed: tuple[str, ...]) -> None:
    """Show what is in these volumes, and have the name typed. Raises ConfigError where it is not."""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"this would destroy {', '.join(doomed)}", hint="say so with --yes, since nobody can be asked here"
        )
    from builder.tasks.loss import look_into

    contents = look_into(context, project, doomed)
    say("this destroys, with all data in them:")
    for name in doomed:
        say(f"  {name}" + (f"  {contents[name]}" if name in contents else ""))
    if typer.prompt(f"type {project} to go on", default="", show_default=False) != project:
        raise ConfigError("the name was not typed: nothing was removed", hint="`devbox down` alone keeps the volumes")


def _check_name(text: str | None) -> str | None:
    """A name of a workstation, as devbox.yaml takes it. Raises ConfigError."""
    import re

    from builder.core.fields import NAME

    if text is not None and not re.fullmatch(NAME, text):
        raise ConfigError(f"{text!r} is no name of a workstation", hint="small letters, digits, `-` and `_`")
    return text


def backs_up_first(context: Context, doomed: tuple[str, ...], *, wanted: bool) -> bool:
    """Whether a backup is made before `doomed` go; where none is, or not of all, that is said."""
    from builder.model import Note
    from builder.tasks.backup import choose_volumes

    config = load_config(context)
    if not wanted:
        return False
    if config.backup.to is None:
        text = f"no backup is made of {', '.join(doomed)}: devbox.yaml names no place for one (`backup: ./folder`)"
        context.report(Note(text=text, level="warning"))
        return False
    covered = choose_volumes(context, config)
    if left := [name for name in doomed if name not in covered.values()]:
        context.report(Note(text=f"not in the backup: {', '.join(left)}", level="warning"))
    return bool(covered)
