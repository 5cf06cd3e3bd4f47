"""`up` where nothing changed since one that ended well, and the container was stopped or taken away: it is started from
what was recorded of it, without a plan.

To find out again what is written down takes longer than the engine needs. So this imports no parser, no catalogue and
no template, and does only what is plain. Whatever is not (a thing beside the workstation, a port that somebody has, an
image of another id, what was cut off) is None: then `up` goes its long way, which brings it about or explains it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.canonical import bytes_id
from builder.core.labels import LABEL_PLAN, LABEL_SPEC, LABEL_SUBSTITUTIONS, LABEL_WORKSPACE
from builder.errors import EngineError, HostError, LockError
from builder.model import Note, Substitution
from builder.tasks.owner import check_names, follow, refuse_other_folder, remember
from builder.tasks.start import announce, bring_back, fits, wait_started
from builder.tasks.unfinished import mark_of

if TYPE_CHECKING:
    from builder.core.recorded import Recorded
    from builder.model import ServiceSpec, State
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    project: str
    phases: Mapping[str, float]  # seconds after the container's start
    changed: bool = True


def start_unchanged(context: Context, fingerprint: str) -> Started | None:
    """Raises what the long way raises: NotReadyError, and EngineError for what belongs to somebody else.

    The lock, which makes files, is taken only where it looks well: a mistake in devbox.yaml is told before that."""
    if _read_state(context, fingerprint) is None or context.workspace.find_unfinished():
        return None
    with context.workspace.lock("up") as killed:
        found = None if killed else _recall(context, fingerprint)
        return _start(context, found) if found else None


def _read_state(context: Context, fingerprint: str) -> State | None:
    """What is remembered of the last `up`, if devbox.yaml, the lock and all else that one reads are as they were."""
    try:
        state, lock = context.workspace.load_state(), context.workspace.load_lock()
    except (LockError, HostError):
        return None  # the long way meets it again
    same = state.alone and state.fingerprint == fingerprint and lock is not None and state.lock == bytes_id(lock)
    return state if same else None


def _recall(context: Context, fingerprint: str) -> Recorded | None:
    """What ran last, if it is what `up` would make."""
    state = _read_state(context, fingerprint)
    if state is None:
        return None  # somebody changed it while we waited
    follow(context, state.project)
    found = context.histories.recall(state.project)
    if found is None or found.spec.project != state.project or found.spec.labels[LABEL_SPEC] != state.spec:
        return None
    here = found.spec.labels.get(LABEL_WORKSPACE) == str(context.workspace.root)
    ports = sorted(state.ports.values()) == sorted(port.host for port in found.spec.ports)
    return found if here and ports and _has_its_volumes(context, found.spec) else None


def _has_its_volumes(context: Context, spec: ServiceSpec) -> bool:
    """Whether it would have the volumes that are in use now: a restore may have come since."""
    chosen = context.backups.volumes(spec.project, context.workspace.root)
    return all(volume.name == chosen.get(volume.key, f"{spec.project}_{volume.key}") for volume in spec.volumes)


def _start(context: Context, found: Recorded) -> Started | None:
    engine, spec = context.engine(), found.spec
    if engine.machine():
        return None  # secrets have to go there, and tunnels be opened
    there = engine.find_containers(spec.project)
    container = there[0] if there else None
    if len(there) > 1 or (container is not None and not _is_stopped(container, spec)):
        return None
    if container is not None:
        refuse_other_folder(context, spec.project, container)
    if not (_is_image_there(context, found) and _are_volumes_whole(context, spec) and _are_ports_free(context, spec)):
        return None
    check_names(context, spec)
    if not _ensure_keys(context, spec):
        return None
    for item in json.loads(spec.labels[LABEL_SUBSTITUTIONS]):
        context.report(Note(text=str(Substitution(**item)), level="warning"))
    return _bring_back(context, found, container)


def _is_stopped(container: ContainerView, spec: ServiceSpec) -> bool:
    return container.state == "exited" and container.name == spec.container_name and fits(container, spec)


def _is_image_there(context: Context, found: Recorded) -> bool:
    """The very one that ran: the same plan may have been built again since."""
    image = context.engine().find_image(found.spec.image)
    wanted = found.spec.labels[LABEL_PLAN]
    return image is not None and image.id == found.image and image.labels.get(LABEL_PLAN) == wanted


def _are_volumes_whole(context: Context, spec: ServiceSpec) -> bool:
    marks = {mark_of(volume.name) for volume in spec.volumes}
    return marks.isdisjoint(context.engine().volumes(spec.project))


def _are_ports_free(context: Context, spec: ServiceSpec) -> bool:
    return all(context.ports.is_free(port.bind, port.host) for port in spec.ports)


def _ensure_keys(context: Context, spec: ServiceSpec) -> bool:
    """Whether the secrets, as they are looked at for every start, lie where the container sees them. Which keys of the
    person may come in can have changed since."""
    reader = None
    if spec.user:
        uid, _, gid = spec.user.partition(":")
        reader = int(uid), int(gid)
    keys = context.keys.ensure(spec.project, context.workspace.root, (), reader=reader)
    remember(context, spec.project)
    return keys.folder == spec.secrets_dir


def _bring_back(context: Context, found: Recorded, container: ContainerView | None) -> Started | None:
    spec, began = found.spec, announce(context, found.spec)
    try:
        started = bring_back(context, spec, found.image, container)
    except EngineError:  # a port that was taken just now, a limit that this machine has not any more
        _take_back(context, spec)
        return None
    phases = wait_started(context, spec, started, began)
    made = context.engine().find_container(spec.project)
    if made is not None:
        context.histories.note_made(spec.project, made.created)
    return Started(project=spec.project, phases=phases)


def _take_back(context: Context, spec: ServiceSpec) -> None:
    """One that was made and could not be started would look like a change to the long way."""
    left = context.engine().find_container(spec.project)
    if left is not None and left.state == "created":
        context.engine().remove(left.id)
