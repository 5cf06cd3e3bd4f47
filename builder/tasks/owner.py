"""Whose is it: two folders can have the same name, and what we find under ours need not have been made by devbox.

Nothing that is not ours is touched, and each is explained with what a person can do. What belongs to a folder that was
moved is taken over; what belongs to another one, or cannot be told from that, is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_WORKSPACE
from builder.errors import EngineError
from builder.model import Note

if TYPE_CHECKING:
    from builder.model import ServiceSpec
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView, ImageView


# What a person can say to the engine, by kind. devbox removes nothing of which it does not know whose it is.
REMOVALS: Final = {"workstation": "docker rm --force", "network": "docker network rm", "volume": "docker volume rm"}
CLAIM: Final = "taken"


def follow(context: Context, project: str) -> None:
    """Where this folder was moved: let what was kept for it in the state directory be that of its new path. Comes
    before anything there is read, or made anew.

    It was moved where both have the same token, and the folder of then is gone; else it is a copy.
    """
    root, token = context.workspace.root, context.workspace.load_state().token
    if not token:
        return
    found = context.keys.find_moved(project, root, token)
    gone = [path for path in found if path != str(root) and not context.workspace.exists(path)]
    if len(gone) == 1:
        context.keys.move(project, gone[0], root)
        context.report(Note(text=f"this folder was {gone[0]} before: the workstation {project} is taken over"))


def remember(context: Context, project: str) -> None:
    """Let the folder be known when it is moved. Its secrets are there."""
    state = context.workspace.load_state()
    token = state.token or context.keys.new_token()
    if token != state.token:
        context.workspace.save_state(replace(state, token=token))
    context.keys.remember(project, context.workspace.root, token)


def refuse_others(context: Context, project: str) -> None:
    """Before volumes are read, filled or removed. Raises EngineError where one of this name is another's."""
    follow(context, project)
    container = context.engine().find_container(project)
    if container is not None:
        refuse_other_folder(context, project, container)
    refuse_parts_of_others(context, project)


def refuse_other_folder(context: Context, project: str, container: ContainerView) -> None:
    """Raises EngineError where `container` belongs to another workspace than the one that is worked in."""
    _refuse(context, project, "workstation", container.name, container.labels.get(LABEL_WORKSPACE, ""))


def refuse_parts_of_others(context: Context, project: str) -> None:
    """Raises EngineError for a network or volume of another folder, whether that one is there or not."""
    for part in context.engine().find_parts(project):
        _refuse(context, project, part.kind, part.name, part.workspace)


def check_names(context: Context, spec: ServiceSpec) -> None:
    """Before anything is made: whether somebody else has one of our names.

    Raises EngineError for what devbox did not make, and for what belongs to another folder.
    """
    context.engine().refuse_foreign(spec)
    refuse_parts_of_others(context, spec.project)


def _refuse(context: Context, project: str, kind: str, name: str, workspace: str) -> None:
    if not workspace or _is_here(context, project, workspace):
        return
    follow(context, project)
    owner = context.keys.owner(project, workspace)
    if owner == str(context.workspace.root):
        return
    other = "choose another name with `name:` in devbox.yaml"
    if context.workspace.exists(owner):
        hint = f"{other}, or run `devbox down --volumes` in that folder, which destroys its data"
        raise EngineError(f"the {kind} {name} belongs to another folder, {owner}", hint=hint)
    raise EngineError(
        f"the {kind} {name} belongs to another folder, {owner}, which is not there",
        hint=f"{other}; if this is that folder, put it back there, run `devbox up` once, and move it then; "
        f"if nobody needs it any more, `{REMOVALS[kind]} {name}` removes it",
    )


def claim_volumes(context: Context, project: str) -> None:
    """What `restore --to` filled belongs to no folder, and becomes that of the first `up`, which says so. The labels
    of a volume stay as they are: an empty one beside it says whose it is, and so keeps other folders out."""
    parts, claim = context.engine().find_parts(project), claim_of(project)
    free = [part.name for part in parts if part.kind == "volume" and not part.workspace]
    if not free or claim in (part.name for part in parts):
        return
    context.engine().make_volume(claim, project=project, workspace=str(context.workspace.root), key=CLAIM)
    context.report(Note(text=f"{', '.join(free)}: filled by `devbox restore --to`, and of this folder from now on"))


def claim_of(project: str) -> str:
    return f"{project}_{CLAIM}"


def say_former_name(context: Context, project: str) -> None:
    """A folder that was renamed, or `name:` of devbox.yaml, gives another workstation; the one before is still there,
    with what a person made in it."""
    before = context.workspace.load_state().project
    if not before or before == project:
        return
    parts = context.engine().find_parts(before)
    ours = [part for part in parts if _may_be_ours(context, before, part.workspace)]
    if ours:
        names = ", ".join(part.name for part in ours)
        text = f"the workstation of this folder was {before} so far, and {names} is left of it"
        context.report(Note(text=f"{text}: with `name: {before}` in devbox.yaml it goes on", level="warning"))


def find_our_image(context: Context, reference: str, label: str, value: str) -> ImageView | None:
    """The image that we made under this name. Raises EngineError where another one has it."""
    image = context.engine().find_image(reference)
    if image is not None and image.labels.get(label) != value:
        raise EngineError(
            f"an image named {reference} exists and was not made by devbox",
            hint=f"remove that name yourself: `docker rmi {reference}`; then `devbox up` makes the image",
        )
    return image


def _may_be_ours(context: Context, project: str, workspace: str) -> bool:
    return _is_here(context, project, workspace) or not context.workspace.exists(workspace)


def _is_here(context: Context, project: str, workspace: str) -> bool:
    """Whether what was made for the folder `workspace` is this one's. That may be elsewhere by now, and another folder
    in its place: its labels stay as they were."""
    return context.keys.owner(project, workspace) == str(context.workspace.root)
