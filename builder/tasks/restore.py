"""`restore`: a snapshot into new volumes, proved there, and then put in the place of the old ones.

Owns the order: nothing of the old data is touched before the new is proved and agreed to, and nothing of it is removed
after that either. The swap is one file, which says which volumes are in use (see `adapters.backups.store`): an engine
cannot rename one. So what is filled never has a name that an `up` would take by itself, also on a new machine. Whatever
is interrupted, the workstation has its old volumes or its new ones, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from builder.core.backups import Restored, Snapshot, readable
from builder.errors import BackupError, EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.backup import find_snapshots, know_password
from builder.tasks.backup_helper import Desk, open_desk
from builder.tasks.lifecycle import STOP_GRACE_S
from builder.tasks.owner import claim_of, refuse_other_folder, refuse_others
from builder.tasks.prepare import current_volumes
from builder.tasks.unfinished import mark_of

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context

NAMED: Final = 20
Agree = Callable[[Restored, Mapping[str, str]], bool]  # what came back, key -> volume that it takes the place of
COMPOSE: Final = "compose.yaml"


def restore_snapshot(
    context: Context,
    wanted: str,
    *,
    origin: str | None,
    beside: str | None,
    despite: bool,
    agree: Agree,
    before: Callable[[Mapping[str, str]], None] = lambda old: None,
) -> tuple[Restored, bool]:
    """Restore `wanted` (an id or "latest") of the workstation `origin`; what came back, and whether it is in use now.

    `beside` is another workstation's name, which must have no volumes: then nothing is replaced. `despite` takes what
    differs from its manifest too. `agree` is asked before anything is replaced; `before` hears what that would be, and
    may refuse, before the long work. The container is gone afterwards where there was one: `up` makes it anew. Raises
    BackupError.
    """
    with open_desk(context, "restore") as desk:
        snapshot = _choose(find_snapshots(desk, know_password(desk), None), wanted, origin or desk.project)
        old = {} if beside else _replaced(desk, snapshot)
        before(old)
        targets = _name_beside(context, snapshot, beside) if beside else _name_targets(desk, snapshot)
        with _volumes_of_ours(desk, targets, beside) as keep:
            restored = _fill(desk, snapshot, targets)
            _refuse_differences(context, restored, despite=despite)
            agreed = not old or agree(restored, old)
            if agreed:
                keep()
        if agreed and not beside:
            _swap(desk, targets)
        return restored, agreed


@contextmanager
def _volumes_of_ours(desk: Desk, targets: Mapping[str, str], beside: str | None) -> Iterator[Callable[[], None]]:
    """Make the volumes; those that were made here go again, unless what is handed over was called meanwhile. Those of
    another workstation belong to no folder, so that its own can take them, and are marked until all is done."""
    engine, made, marks = desk.context.engine(), list[str](), list[str]()
    project, workspace = beside or desk.project, "" if beside else str(desk.context.workspace.root)
    try:
        for key, name in targets.items():
            if beside:
                engine.make_volume(mark_of(name), project=project, workspace=workspace, key=mark_of(key))
                marks.append(mark_of(name))
            engine.make_volume(name, project=project, workspace=workspace, key=key)
            made.append(name)
        yield made.clear
    finally:
        for name in (*made, *marks):  # a mark after what it stands for
            engine.remove_volume(name)


def _choose(snapshots: Sequence[Snapshot], wanted: str, name: str) -> Snapshot:
    if wanted == "latest":
        ours = [item for item in snapshots if item.name == name]
        if ours:
            return ours[-1]
        others = ", ".join(sorted({item.name for item in snapshots})) or "none"
        hint = f"`--from NAME` takes that of another one; there are backups of: {others}"
        raise BackupError(f"there is no backup of {name}", hint=hint)
    found = [item for item in snapshots if item.id.startswith(wanted)]
    if len(found) != 1:
        said = "there is no such snapshot" if not found else f"{len(found)} snapshots begin so"
        raise BackupError(f"{said}: {wanted}", hint="`devbox backups --all` lists them")
    return found[0]


def _name_targets(desk: Desk, snapshot: Snapshot) -> Mapping[str, str]:
    """Key -> name of the volumes to fill."""
    stamp = desk.context.backups.stamp()
    return {key: f"{desk.project}_{key}_{stamp}" for key in snapshot.volumes}


def _name_beside(context: Context, snapshot: Snapshot, project: str) -> Mapping[str, str]:
    """The usual names, which have to be free. Raises BackupError."""
    usual = {key: f"{project}_{key}" for key in snapshot.volumes}
    there = context.engine().volumes(project)
    for name in usual.values():
        if mark_of(name) in there:
            left = " ".join(item for each in usual.values() for item in (each, mark_of(each)) if item in there)
            raise BackupError(
                f"a restore that fills the volume {name} was cut off, or still runs",
                hint=f"wait for it; if none runs, `docker volume rm {left}` removes what it left",
            )
        if name in there:
            hint = "choose another name, or remove that volume first"
            raise BackupError(f"there is a volume {name} already", hint=hint)
    return usual


def _replaced(desk: Desk, snapshot: Snapshot) -> Mapping[str, str]:
    there = desk.context.engine().volumes(desk.project)
    names = current_volumes(desk.context, desk.project)
    if unknown := [key for key in snapshot.volumes if key not in names]:
        raise BackupError(f"this workstation has no volume {unknown[0]}", hint="`--to NAME` restores it beside")
    return {key: names[key] for key in snapshot.volumes if names[key] in there}


def _fill(desk: Desk, snapshot: Snapshot, targets: Mapping[str, str]) -> Restored:
    context = desk.context
    started = context.clock.now()
    context.report(TaskStarted(name="restore", text=f"restore {snapshot.id[:8]} of {snapshot.name}"))
    told = desk.ask("restore", know_password(desk), volumes=targets, restores=True, snapshot=snapshot.id)
    restored = Restored(
        snapshot=snapshot,
        volumes=targets,
        files=int(told["files"]),
        bytes=int(told["bytes"]),
        moved=int(told["moved"]),
        differences=tuple(readable(f"{path}: {what}") for path, what in told["differences"]),
        differ=int(told["differ"]),
    )
    text = f"{restored.files} files restored and compared"
    context.report(TaskEnded(name="restore", text=text, seconds=context.clock.now() - started))
    if restored.moved:
        text = f"{restored.moved} files changed while they were backed up: they are as restic found them"
        context.report(Note(text=text))
    return restored


def _refuse_differences(context: Context, restored: Restored, *, despite: bool) -> None:
    if not restored.differ:
        return
    named = [*restored.differences[:NAMED]]
    if restored.differ > len(named):
        named.append(f"and {restored.differ - len(named)} more")
    if despite:
        context.report(Note(text=f"taken all the same, with differences: {restored.differ}", level="warning"))
        return
    raise BackupError(
        f"what came back is not what was backed up ({restored.differ} times): nothing was replaced",
        detail="\n".join(named),
        hint="take another snapshot, or this one with --accept-differences",
    )


def _swap(desk: Desk, targets: Mapping[str, str]) -> None:
    """The container goes first: while one runs with the old volumes, no short way may take it for current."""
    context = desk.context
    engine = context.engine()
    container = engine.find_container(desk.project)
    if container is not None:
        refuse_other_folder(context, desk.project, container)
        engine.stop(container.id, STOP_GRACE_S)
        engine.remove(container.id)
    context.workspace.drop(COMPOSE)  # it names the volumes of before; the next `up` writes it anew
    names = {**current_volumes(context, desk.project), **targets}
    unusual = {key: name for key, name in names.items() if name != f"{desk.project}_{key}"}
    context.backups.use_volumes(desk.project, context.workspace.root, unusual)


# ---------------------------------------------------------------------------------------------------- old ones


def find_unused(context: Context, project: str) -> tuple[str, ...]:
    """Volumes of this workstation that it does not use: of before a restore, or of one that was killed."""
    refuse_others(context, project)
    current = current_volumes(context, project)
    used = set(current.values())
    used |= {claim_of(project), *(mark_of(name) for name in used)}
    # What a restore makes is named after these; the volumes of sidecars are none of its business.
    theirs = tuple(f"{project}_{key}" for key in current)
    return tuple(name for name in context.engine().volumes(project) if name.startswith(theirs) and name not in used)


def discard_unused(context: Context, project: str, names: Sequence[str]) -> None:
    """Remove exactly these. Raises EngineError for one that is in use by now."""
    with context.workspace.lock("restore"):
        context.engine().remove_stale_helpers()  # of one that was killed: they would hold on to a volume
        unused = find_unused(context, project)
        for name in names:
            if name not in unused:
                raise EngineError(f"the volume {name} is in use", hint="run the same command again")
            context.engine().remove_volume(name)
            context.report(Note(text=f"volume {name} removed"))
