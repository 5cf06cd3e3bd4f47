"""`compare`: which two images are meant, and what they differ in, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.core.compare import LEVELS, Aspect, Comparison, FileChange, compare_images
from builder.core.contents import find_wanted
from builder.errors import ConfigError
from builder.model import TaskEnded, TaskStarted
from builder.tasks.sbom import find_image, find_ours

if TYPE_CHECKING:
    from builder.core.layers import SavedImage
    from builder.tasks.interfaces import Context

ReadFile = Callable[[Path, Callable[[str], object]], "SavedImage"]

MEANINGS: Final = {
    "R0": "the same inputs",
    "R1": "the same packages",
    "R2": "the same files, but for times",
    "R3": "the same layers, byte for byte",
}
MOST: Final = 20  # files of one package that are listed by name


def compare(context: Context, project: str, references: Sequence[str], read_file: ReadFile) -> Comparison:
    """`references` name two images of the engine or files of `docker save`; of one alone the other is this folder's.

    Raises EngineError or HostError where one of them is not there.
    """
    names = list(references)
    if len(names) == 1:
        names.insert(0, find_ours(context, project)[0].id)
    before, after = (_read(context, name, read_file) for name in names)
    return compare_images(before, after)


def _read(context: Context, reference: str, read_file: ReadFile) -> SavedImage:
    started = context.clock.now()
    context.report(TaskStarted(name="compare", text=f"read the layers of {reference}"))
    path = Path(reference)
    if _is_file(path):
        image = read_file(path, find_wanted)
    elif path.is_absolute() or reference.startswith(("./", "../")):
        raise ConfigError("there is no such file", where=reference, hint="`docker save --output FILE IMAGE` makes one")
    else:
        image = context.engine().read_image(find_image(context, reference).id, find_wanted)
    count = sum(len(layer.entries) for layer in image.layers)
    text = f"{len(image.layers)} layers with {count} entries in {reference}"
    context.report(TaskEnded(name="compare", text=text, seconds=context.clock.now() - started))
    return image


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a name, or behind a folder of somebody else: then it is the engine's to know it
        return False


# ------------------------------------------------------------------------------------------------------ in words


def describe_comparison(found: Comparison) -> str:
    return "\n".join(_lines(found))


def _lines(found: Comparison) -> Iterator[str]:
    for level in LEVELS:
        yield f"{level}  {'yes' if found.holds[level] else 'no':<4} {MEANINGS[level]}"
    different = [pair.step for pair in found.layers if not pair.same]
    told = f": not {', '.join(different)}" if different else ""
    yield f"\n{len(found.layers) - len(different)} of {len(found.layers)} layers are the same{told}"
    yield from _section("settings", found.settings)
    yield from _section("packages", found.packages)
    # By the order of the layers, as they were built.
    order = {name: index for index, name in enumerate(dict.fromkeys(pair.step for pair in found.layers))}
    files = sorted(found.files, key=lambda file: (order.get(file.step, len(order)), file.step, file.package, file.path))
    for (step, package), group in groupby(
        (file for file in files if not file.only_times), key=lambda file: (file.step, file.package)
    ):
        yield from _describe_files(step, package, list(group))
    if times := Counter(file.step for file in files if file.only_times):
        yield "\ntimes alone differ (--json lists them)"
        yield from (f"  {step}: {count}" for step, count in times.items())


def _section(title: str, aspects: Sequence[Aspect]) -> Iterator[str]:
    if aspects:
        yield f"\n{title}"
        yield from (f"  {_describe(aspect)}" for aspect in aspects)


def _describe(aspect: Aspect) -> str:
    return f"{aspect.name}: {aspect.before or '-'} -> {aspect.after or '-'}"


def _describe_files(step: str, package: str, files: Sequence[FileChange]) -> Iterator[str]:
    yield f"\n{step}{f', {package}' if package else ''}"
    for file in files[:MOST]:
        yield f"  {file.change:<8} {file.path}"
        yield from (f"           {_describe(aspect)}" for aspect in file.aspects)
    if len(files) > MOST:
        yield f"  and {len(files) - MOST} more (--json lists all)"
