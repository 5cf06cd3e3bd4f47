"""`uninstall`: takes away everything that devbox made for this person, and looks once more whether something is left.

Volumes go only if that is said. What belongs to somebody else on the same engine is left, and told, and where there is
somebody, so are images of which nobody can tell whose they are; so is what cannot be made again: passwords of backups,
and of the data in volumes that stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_SERVICE, LABEL_WORKSPACE, WORKSTATION
from builder.core.leftovers import OURS, is_way_back
from builder.errors import DevboxError, EngineError
from builder.model import Note
from builder.tasks.prune import PROJECT, find_others, list_images

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from builder.core.leftovers import Known
    from builder.tasks.interfaces import Context, Estate
    from builder.views import ContainerView, ImageView, PartView

STOP_GRACE_S: Final = 10
MAYBE: Final = "may be somebody else's; `devbox prune` removes what nobody runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """All that there is of devbox, by name."""

    workstations: tuple[str, ...]  # projects
    containers: tuple[str, ...]  # ids
    sidecars: tuple[str, ...]  # ids among them, whose volumes without a name go along
    networks: tuple[str, ...]  # names
    volumes: tuple[str, ...]  # names; none where they are kept
    images: tuple[str, ...]  # tags
    workspaces: tuple[str, ...]  # that have rendered files
    folders: tuple[str, ...]  # of the state and the cache
    kept: tuple[str, ...]  # what stays, each with its reason
    precious: tuple[str, ...]  # files among what is kept

    @property
    def is_empty(self) -> bool:
        gone = (self.containers, self.networks, self.volumes, self.images, self.workspaces, self.folders)
        return not any(gone)


def find_belongings(context: Context, estate: Estate, *, volumes: bool, before: Belongings | None = None) -> Belongings:
    """`volumes` says whether these go, too. `before` is what was there before the removal, which took the memory of
    whose the images are."""
    engine = context.engine()
    services, all_parts, known, images = (
        engine.find_services(),
        engine.all_parts(),
        estate.known(),
        list_images(context),
    )
    mine = [item for item in services if estate.is_mine(item.labels[LABEL_WORKSPACE])]
    parts = _find_mine(all_parts, estate)
    theirs = {item.labels.get(PROJECT, "") for item in services if item not in mine}
    theirs |= {part.project for part in all_parts if part not in parts}
    fates = _judge_images(
        images,
        used=engine.used_images(but={item.id for item in mine}),
        theirs=theirs,
        sure=_find_sure(images, mine, known, before) if find_others(context, estate) else None,
    )
    precious = tuple(path for item in known for path in item.precious)
    restored = tuple(path for item in known for path in item.restored if not volumes)
    opening = () if volumes else tuple(_find_opening(known, parts))
    held = tuple(part.name for part in parts if part.kind == "volume" and part.project)
    projects = {item.labels.get(PROJECT, item.name) for item in mine} | {part.project for part in parts if part.project}
    rendered = {item.workspace for item in known if item.workspace and estate.has_rendered(item.workspace)}
    return Belongings(
        workstations=tuple(sorted(projects)),
        containers=tuple(item.id for item in mine),
        sidecars=tuple(item.id for item in mine if item.labels.get(LABEL_SERVICE, WORKSTATION) != WORKSTATION),
        networks=tuple(part.name for part in parts if part.kind == "network"),
        volumes=held if volumes else (),
        images=tuple(name for image in images if not fates[image.id] for name in _names(image)),
        workspaces=tuple(sorted(rendered)),
        folders=tuple(name for name in estate.folders if estate.holds(name, (*precious, *restored))),
        kept=(
            *_find_foreign(services, mine),
            *(f"{part.kind} {part.name}: {_whose(part.workspace)}" for part in all_parts if part not in parts),
            *(f"{name}: {fates[image.id]}" for image in images if fates[image.id] for name in _names(image)),
            *(f"{tag}: somebody gave this name" for image in images for tag in image.tags if not tag.startswith(OURS)),
            *(f"volume {name}: --volumes destroys it, with all data in it" for name in held if not volumes),
            *(f"{path}: opens backups; remove it yourself if nobody needs them" for path in precious),
            *(f"{path}: says which of the volumes are in use since a restore" for path in restored),
            *(f"{path}: opens data in a sidecar's volume" for path in opening),
        ),
        precious=(*precious, *restored, *opening),
    )


def _judge_images(
    images: Sequence[ImageView], *, used: Collection[str], theirs: Collection[str], sure: Collection[str] | None
) -> Mapping[str, str]:
    """Image -> why it stays; nothing where it goes. `sure` are those that are this person's, where there are others."""

    def judge(image: ImageView) -> str:
        if image.id in used:
            return "a container runs it"
        if is_way_back(image, theirs):
            return "somebody else goes back to it"
        return "" if sure is None or image.id in sure else MAYBE

    return {image.id: judge(image) for image in images}


def _find_sure(
    images: Sequence[ImageView], mine: Sequence[ContainerView], known: Sequence[Known], before: Belongings | None
) -> Collection[str]:
    """What this person's workstations run, go back to and stand on."""
    ids = {item.image_id for item in mine} | {image for item in known for image in item.images}
    names = {item.base for item in known} | {*(before.images if before else ())}
    return ids | {image.id for image in images if names & {image.id, *image.tags}}


def _find_mine(parts: Sequence[PartView], estate: Estate) -> list[PartView]:
    """What `restore --to` filled names no folder: it is of the project that took it, and of nobody before."""
    taken = {part.project for part in parts if part.workspace and estate.is_mine(part.workspace)}
    return [part for part in parts if (estate.is_mine(part.workspace) if part.workspace else part.project in taken)]


def _find_opening(known: Sequence[Known], parts: Sequence[PartView]) -> Iterator[str]:
    """A database keeps the password that it was made with: without it nobody gets at its data again."""
    for item in known:
        if any(part.kind == "volume" and part.name.startswith(f"{item.project}_sidecar-") for part in parts):
            yield from item.opening


def _find_foreign(workstations: Sequence[ContainerView], mine: Sequence[ContainerView]) -> Iterator[str]:
    for item in workstations:
        if item not in mine:
            yield f"{item.name}: {_whose(item.labels[LABEL_WORKSPACE])}"


def _whose(workspace: str) -> str:
    return f"of a folder that is not yours here, {workspace}" if workspace else "filled by `devbox restore --to`"


def _names(image: ImageView) -> tuple[str, ...]:
    """Those that devbox gave; the id of one that has none at all."""
    return tuple(tag for tag in image.tags if tag.startswith(OURS)) or (() if image.tags else (image.id,))


def describe_belongings(found: Belongings) -> Iterator[str]:
    rows = {
        "workstations": found.workstations if found.containers or found.networks else (),
        "volumes": found.volumes,
        "images": found.images,
        "rendered": tuple(f"{path}/.workstation" for path in found.workspaces),
        "folders": found.folders,
        "kept": found.kept,
    }
    for title, names in rows.items():
        for number, name in enumerate(names):
            yield f"  {title if number == 0 else '':<12}  {name}"


def remove_belongings(context: Context, estate: Estate, found: Belongings, tidy: Callable[[], None]) -> None:
    """`tidy` removes what killed processes left. What cannot be removed is told; the look afterwards finds it."""
    engine = context.engine()
    tidy()
    engine.remove_stale_helpers()
    for container in found.containers:
        _try(context, engine.stop, container, STOP_GRACE_S)
        _try(context, partial(engine.remove, container, unnamed=container in found.sidecars))
    for project in found.workstations:  # on another machine, the copies of their secrets go with them
        _try(context, engine.remove_network, project)
    for volume in found.volumes:
        _try(context, engine.remove_volume, volume)
    for image in found.images:
        _try(context, engine.remove_image, image)
    for workspace in found.workspaces:
        _try(context, estate.clear_workspace, workspace)
    estate.remove_all(found.precious)


def refuse_left(left: Belongings) -> None:
    """After the removal. Raises EngineError where something is there that should not be."""
    if not left.is_empty:
        raise EngineError(
            "something of devbox is left",
            detail="\n".join(describe_belongings(left)),
            hint="the warnings above say why; `devbox uninstall` can be run again",
        )


def _try(context: Context, act: Callable[..., object], *given: object) -> None:
    try:
        act(*given)
    except DevboxError as error:
        context.report(Note(text=str(error.message), level="warning"))
