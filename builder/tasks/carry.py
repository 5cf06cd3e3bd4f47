"""`save` and `load`: an image goes to a machine that shall not build it, as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.labels import LABEL_PLAN
from builder.errors import ConfigError, EngineError
from builder.model import TaskEnded, TaskStarted
from builder.tasks.base import download_progress
from builder.tasks.sbom import find_image, find_ours

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Progress
    from builder.views import ImageView

WriteArchive = Callable[[Path, Iterator[bytes], Mapping[str, str], "Progress"], int]
ReadArchive = Callable[[Path, "Progress"], Iterator[bytes]]
MEGABYTE = 1_000_000


def save_image(context: Context, project: str, reference: str | None, path: Path, write: WriteArchive) -> int:
    """Write this folder's image, or the one that `reference` names, to `path`; the size of the file in bytes."""
    if reference is None:
        image, name, _ = find_ours(context, project)
    else:
        image, name = find_image(context, reference), reference
    if LABEL_PLAN not in image.labels:
        raise ConfigError(f"{name} was not built by devbox", hint="`docker save` is for others")
    name = name if name in image.tags else next(iter(image.tags), "")
    if not name:
        raise ConfigError(f"{image.id} has no tag to come back under", hint="`devbox build` gives it one")
    started = context.clock.now()
    context.report(TaskStarted(name="save", text=f"save {name} to {path.name}"))
    about = {"image": name, "plan": image.labels[LABEL_PLAN], "arch": image.arch, "devbox": context.assets.version}
    # By its tag: only so does the file hold the tag.
    size = write(path, context.engine().save_image(name), about, download_progress(context, "save", f"{name}, packed"))
    text = f"{path.name}: {size / MEGABYTE:.0f} MB for an image of {image.size / MEGABYTE:.0f} MB"
    context.report(TaskEnded(name="save", text=text, seconds=context.clock.now() - started))
    return size


def load_image(context: Context, path: Path, about: Mapping[str, str], read: ReadArchive) -> ImageView:
    """Bring the image of a file of `save` onto the engine. `about` is what the file says of itself.

    Raises ConfigError for an image of another kind of machine, EngineError when the engine then has another image.
    """
    engine = context.engine()
    wanted, arch = about.get("image", ""), engine.version().arch
    if about.get("arch") != arch:
        raise ConfigError(
            f"the image is for {about.get('arch')}, and this engine for {arch}",
            where=str(path),
            hint="`devbox build` makes one for this engine",
        )
    there = engine.find_image(wanted)
    if there is not None and there.labels.get(LABEL_PLAN) == about.get("plan"):
        return there
    started = context.clock.now()
    context.report(TaskStarted(name="load", text=f"load {wanted} from {path.name}"))
    engine.load_image(read(path, download_progress(context, "load", path.name)))
    image = engine.find_image(wanted)
    if image is None or image.labels.get(LABEL_PLAN) != about.get("plan"):
        raise EngineError(
            f"the engine took the file, and has no {wanted} of the plan {about.get('plan', '')[:12]} now",
            where=str(path),
            hint="the file was changed after it was saved: save it again",
        )
    context.report(TaskEnded(name="load", text=f"{wanted} is there", seconds=context.clock.now() - started))
    return image
