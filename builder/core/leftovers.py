"""What of devbox nobody needs any more: which images, which folders of this machine. Must not remove anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_ARTIFACT, LABEL_BASE, LABEL_HELPER_IMAGE, LABEL_PLAN, LABEL_SIDECAR
from builder.core.table import align, mega

if TYPE_CHECKING:
    from builder.views import ImageView

OURS: Final = "devbox/"  # begins the names of all images that devbox makes
BACK: Final = "devbox/previous:"  # and of the one that a project goes back to


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A workstation that this person's state directory knows."""

    folder: str  # in the state directory
    project: str
    workspace: str | None  # None: not written down
    there: bool  # whether the workspace is, for all that can be seen
    images: tuple[str, ...] = ()  # ids, that it runs and goes back to
    base: str = ""  # the tag of the one that its lock names
    precious: tuple[str, ...] = ()  # paths of what cannot be made again
    restored: tuple[str, ...] = ()  # of what says which volumes are in use since a restore
    opening: tuple[str, ...] = ()  # paths of what opens data in its volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """One entry of the cache."""

    path: str
    bytes: int
    idle_days: int  # since somebody read or wrote it


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that nobody needs any more."""

    kind: str  # image | cache | state
    name: str  # a tag or id, a path
    bytes: int  # of an image at most: others may share its layers
    why: str  # in words


def is_way_back(image: ImageView, projects: Collection[str]) -> bool:
    """Whether one of `projects` goes back to it, whoever's it is: the tag tells, no file of this machine has to."""
    return any(tag.startswith(BACK) and tag.removeprefix(BACK) in projects for tag in image.tags)


def _is_ours_alone(image: ImageView) -> bool:
    """Whether no name of it was given by somebody else."""
    return all(tag.startswith(OURS) for tag in image.tags)


def find_spare_images(
    images: Collection[ImageView], *, used: Collection[str], wanted: Collection[str], newer_than: str
) -> Iterator[Leftover]:
    """`used` and `wanted` are ids of images that a container runs, or that a folder starts or goes back to.

    What was made after the moment `newer_than` (RFC 3339, UTC) stays: somebody may be about to start it. Of bases, and
    of the images of helpers, the newest of each kind stays.
    """
    newest: dict[str, str] = {}
    for image in sorted(images, key=lambda image: image.created, reverse=True):
        why = _explain(image)
        if kind := _kind(image):
            if kind not in newest:
                newest[kind] = image.id
                continue
            why = f"newer is {kind}"
        kept = image.id in used or image.id in wanted or image.created[:19] > newer_than[:19]
        if not kept and _is_ours_alone(image):
            names = image.tags or (image.id,)
            yield from (Leftover(kind="image", name=name, bytes=image.size, why=why) for name in names)


def _kind(image: ImageView) -> str:
    """Of what only the newest is needed: a base by its name, what builds copy from, an image of helpers or of a
    sidecar; none of a workstation's image."""
    if LABEL_PLAN in image.labels:
        return ""
    if artifact := image.labels.get(LABEL_ARTIFACT):
        return f"one with {artifact}"
    if sidecar := image.labels.get(LABEL_SIDECAR):
        return f"one for the sidecar {sidecar}"
    return "one for helpers" if LABEL_HELPER_IMAGE in image.labels else f"one of {image.labels.get(LABEL_BASE, '')}"


def _explain(image: ImageView) -> str:
    return "no workstation runs it or goes back to it" if image.tags else "it has lost its name"


def find_spare_states(known: Sequence[Known], living: Collection[str]) -> Iterator[Leftover]:
    """Of workspaces that are gone; not where something of that project lives on the engine, whatever path it was made
    for, and not what holds something that cannot be made again."""
    for item in known:
        gone = item.workspace is not None and not item.there
        if gone and not item.precious and not item.restored and item.project not in living:
            yield Leftover(kind="state", name=item.folder, bytes=0, why=f"{item.workspace} is gone")


def find_spare_entries(cached: Sequence[Cached], days: int) -> Iterator[Leftover]:
    for item in cached:
        if item.idle_days >= days:
            yield Leftover(kind="cache", name=item.path, bytes=item.bytes, why=f"not used for {item.idle_days} days")


def describe_leftovers(found: Sequence[Leftover]) -> Iterator[str]:
    rows = [(item.kind, f"{mega(item.bytes, 1)} MB" if item.bytes else "", item.name, item.why) for item in found]
    yield from align([("KIND", "UP TO", "NAME", "WHY"), *rows], right=(1,))


def describe_others(names: Sequence[str], found: Sequence[Leftover]) -> Iterator[str]:
    """For the question: others lose no data by it, but the time of a build."""
    if names and any(item.kind == "image" for item in found):
        listed = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        yield f"Others use this engine, too ({listed}): an image of theirs has to be built or pulled again."
