"""`backup`, `backups`, `password backup`: volumes into a repository, and what is in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from builder.core.backups import Snapshot, Taken, Trouble, read_snapshots, readable
from builder.errors import BackupError, ConfigError, EngineError
from builder.model import Note, Secret, TaskEnded, TaskStarted
from builder.tasks.backup_helper import Desk, RepositoryError, open_desk
from builder.tasks.owner import follow
from builder.tasks.prepare import current_volumes
from builder.tasks.unfinished import refuse_unfinished

if TYPE_CHECKING:
    from builder.core.config import Config
    from builder.tasks.interfaces import Context

NAMED: Final = 20  # unreadable files that are told one by one


def take_backup(context: Context) -> Taken:
    """Back the volumes up, and let old snapshots go. A snapshot that lacks files is there, and a BackupError."""
    with open_desk(context, "backup") as desk:
        refuse_unfinished(context, desk.project)
        volumes = choose_volumes(context, desk.config)
        if not volumes:
            raise EngineError(f"{desk.project} has no volumes yet", hint="`devbox up` makes them")
        started = context.clock.now()
        context.report(TaskStarted(name="backup", text=f"back up {', '.join(volumes)} to {desk.repository.shown}"))
        password = _open(desk)
        told = _back_up(desk, password, volumes)
        taken = Taken(
            snapshot=str(told["snapshot"]),
            repository=desk.repository.shown,
            files=int(told["files"]),
            bytes=int(told["bytes"]),
            added=int(told["added"]),
            unreadable=tuple(readable(path) for path in told["unreadable"]),
        )
        if kept := told["kept"]:
            text = f"the backup is made, but old ones stay for now: {kept}"
            context.report(Note(text=text, level="warning"))
        seconds = context.clock.now() - started
        context.report(TaskEnded(name="backup", text=f"snapshot {taken.snapshot[:8]} made", seconds=seconds))
    if taken.unreadable:
        raise _incomplete(taken)
    return taken


def choose_volumes(context: Context, config: Config) -> Mapping[str, str]:
    """Key -> name of the volumes that are backed up: those in use that are there. Raises ConfigError for a key that
    no volume has."""
    names = current_volumes(context, config.name)
    wanted = config.backup.volumes or tuple(names)
    if unknown := [key for key in wanted if key not in names]:
        hint = f"the volumes are {', '.join(names)}"
        raise ConfigError(f"there is no volume {unknown[0]!r}", where="devbox.yaml: backup.volumes", hint=hint)
    there = context.engine().volumes(config.name)
    return {key: names[key] for key in sorted(wanted) if names[key] in there}


def _open(desk: Desk) -> Secret:
    """The password of the repository, which is made with a new one where there is none yet."""
    context, root = desk.context, desk.context.workspace.root
    known = context.backups.password(desk.project, root)
    password = known or context.backups.new_password()
    try:
        desk.ask("look", password)
        return password
    except RepositoryError as error:
        if error.trouble is Trouble.PASSWORD and known is None:
            raise BackupError(
                "there are backups already, and their password is not on this machine",
                where=desk.repository.shown,
                hint="`devbox password backup --set` takes it on standard input",
            ) from error
        if error.trouble is not Trouble.ABSENT:
            raise
    context.backups.keep_password(
        desk.project, root, password
    )  # first: a repository without a password is worth nothing
    desk.ask("make", password)
    text = f"a new repository in {desk.repository.shown}; keep a copy of its password elsewhere"
    context.report(Note(text=f"{text} (`devbox password backup`): without it no backup can be read", level="warning"))
    return password


def _back_up(desk: Desk, password: Secret, volumes: Mapping[str, str]) -> Mapping[str, Any]:
    choice = desk.config.backup
    return desk.ask(
        "backup",
        password,
        volumes=volumes,
        exclude=choice.exclude,
        keep_days=choice.keep_days,
        keep_last=choice.keep_last,
    )


def _incomplete(taken: Taken) -> BackupError:
    named = list(taken.unreadable[:NAMED])
    if len(taken.unreadable) > NAMED:
        named.append(f"and {len(taken.unreadable) - NAMED} more")
    return BackupError(
        f"snapshot {taken.snapshot[:8]} is made, but lacks what could not be read",
        where=taken.repository,
        detail="\n".join(named),
        hint="what is named there is not in the backup: mend it, or write it into `backup.exclude`",
    )


# ------------------------------------------------------------------------------------------------ what is there


def list_backups(context: Context, *, everyone: bool = False) -> tuple[Snapshot, ...]:
    """The snapshots of this workstation, or of all in the repository, the newest last."""
    with open_desk(context, "backups") as desk:
        return find_snapshots(desk, know_password(desk), None if everyone else desk.project)


def find_snapshots(desk: Desk, password: Secret, name: str | None) -> tuple[Snapshot, ...]:
    found = read_snapshots(desk.ask("list", password)["snapshots"])
    return tuple(item for item in found if name in (None, item.name))


def know_password(desk: Desk) -> Secret:
    """Raises BackupError where this machine has none."""
    password = desk.context.backups.password(desk.project, desk.context.workspace.root)
    if password is None:
        raise BackupError(
            "the password of the backups is not on this machine",
            where=desk.repository.shown,
            hint="`devbox password backup --set` takes it on standard input; `devbox backup` makes the first backup",
        )
    return password


# ---------------------------------------------------------------------------------------------------- password


def find_backup_password(context: Context, project: str) -> Secret:
    follow(context, project)
    found = context.backups.password(project, context.workspace.root)
    if found is None:
        raise ConfigError("there is no password of a backup yet", hint="`devbox backup` makes the first backup, and it")
    return found


def set_backup_password(context: Context, project: str, text: str) -> None:
    """Take over the password of a repository that was made elsewhere. The one of before is kept."""
    with context.workspace.lock("password"):
        follow(context, project)
        if before := context.backups.keep_password(project, context.workspace.root, Secret(text)):
            context.report(Note(text=f"the password of before is kept: it is the last line of {before}"))


# --------------------------------------------------------------------------------------------------------- cron


def cron_line(program: Sequence[str], workspace: str, project: str) -> str:
    """A line of crontab(5), at a minute of the night of its own; % would be a line break there."""
    minute = sum(project.encode()) % 60
    command = shlex.join([*program, "-C", workspace, "--log", "quiet", "backup"]).replace("%", r"\%")
    return f"{minute} 3 * * * {command}"
