"""What two images differ in, and how far the one is the other, built again.

Levels, each of which takes in those before it but for the first: R0 the same inputs (the id of the plan), R1 the same
packages in the same versions, R2 the same files and settings but for times, R3 the same layers, byte for byte.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from builder.core.contents import Contents, read_contents
from builder.core.labels import LABEL_PLAN
from builder.core.layer_steps import name_steps
from builder.core.layers import EntryKind, Layer, LayerEntry, Placed, SavedImage, merge_layers
from builder.core.packages import find_packages
from builder.model import ImageFile

LEVELS: Final = ("R0", "R1", "R2", "R3")
CAPABILITY: Final = "security.capability"
SHORT: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """One thing that differs: empty where a side does not have it."""

    name: str  # what: a setting, a package, the mode of a file
    before: str  # in the first image
    after: str  # in the second


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    path: str  # in the image
    change: str  # added | removed | changed; hidden: of a layer, where those above hide it or it hides what is below
    step: str  # of the plan, or the instruction that made the layer
    package: str  # the Debian package it belongs to, empty where there is none
    aspects: tuple[Aspect, ...] = ()  # of what changed

    @property
    def only_times(self) -> bool:
        return bool(self.aspects) and all(aspect.name == "mtime" for aspect in self.aspects)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPair:
    step: str  # of the plan, or the instruction that made it
    before: str  # digest; empty where one image has fewer layers
    after: str  # digest; empty likewise

    @property
    def same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    level: str  # the highest that holds; empty when none does
    holds: Mapping[str, bool]  # level -> whether it holds
    layers: tuple[LayerPair, ...]
    settings: tuple[Aspect, ...]
    packages: tuple[Aspect, ...]
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One image, laid out: its layers as one tree of files."""

    image: SavedImage
    files: Mapping[str, Placed]
    contents: Contents
    steps: tuple[str, ...]  # one for each layer

    def package_of(self, path: str) -> str:
        record = re.fullmatch(r"var/lib/dpkg/info/([^:]+?)(:\w+)?\.[a-z0-9]+", path)
        return self.contents.owner_of(path) or (record[1] if record else "")


def compare_images(before: SavedImage, after: SavedImage) -> Comparison:
    one, other = lay_out(before), lay_out(after)
    layers = tuple(_pair_layers(one, other))
    settings = tuple(_differ(before.settings, after.settings))
    packages = tuple(_differ(_versions(one), _versions(other)))
    changes = tuple(_find_changes(one, other))
    files = (*changes, *_find_hidden(one, other, {change.path for change in changes}))
    same_files = not settings and all(file.only_times for file in changes)
    holds = {
        "R0": bool(before.labels.get(LABEL_PLAN)) and before.labels.get(LABEL_PLAN) == after.labels.get(LABEL_PLAN),
        "R1": not packages,
        "R2": same_files,
        "R3": same_files and all(pair.same for pair in layers),
    }
    level = next((level for level in reversed(LEVELS) if holds[level]), "")
    return Comparison(level=level, holds=holds, layers=layers, settings=settings, packages=packages, files=files)


def lay_out(image: SavedImage) -> Side:
    files = merge_layers(image.layers)
    return Side(
        image=image,
        files=files,
        contents=read_contents(_as_image_file(placed.entry) for placed in files.values() if _is_read(placed.entry)),
        steps=name_steps(image.created_by, image.labels, image.layers),
    )


def _is_read(entry: LayerEntry) -> bool:
    return entry.kind in (EntryKind.FILE, EntryKind.LINK)


def _as_image_file(entry: LayerEntry) -> ImageFile:
    return ImageFile(path=entry.path, size=entry.size, sha256=entry.sha256, link=entry.link, data=entry.data)


def _pair_layers(one: Side, other: Side) -> Iterator[LayerPair]:
    names = itertools.zip_longest(one.steps, other.steps)
    for (left, right), (mine, theirs) in zip(
        names, itertools.zip_longest(one.image.layers, other.image.layers), strict=True
    ):
        step = left if left == right else " / ".join(name for name in (left, right) if name)
        yield LayerPair(step=step, before=mine.digest if mine else "", after=theirs.digest if theirs else "")


def _versions(side: Side) -> dict[str, str]:
    """Versions by name and kind; of npm several lie beside each other."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for package in find_packages(side.contents):
        found[f"{package.name} ({package.kind})"].append(package.version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _differ(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Aspect]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Aspect(name=name, before=before.get(name, ""), after=after.get(name, ""))


def _find_changes(one: Side, other: Side) -> Iterator[FileChange]:
    for path in sorted({*one.files, *other.files}):
        before, after = one.files.get(path), other.files.get(path)
        aspects = tuple(_find_aspects(before, after)) if before and after else ()
        if before and after and not aspects:
            continue
        side, placed = (other, after) if after else (one, before)
        assert placed is not None  # noqa: S101  # the path is of one of them
        yield FileChange(
            path=_absolute(path),
            change="changed" if aspects else "added" if after else "removed",
            step=side.steps[placed.layer],
            package=side.package_of(path),
            aspects=aspects,
        )


def _find_hidden(one: Side, other: Side, told: Set[str]) -> Iterator[FileChange]:
    """What sets two layers apart beside what can be seen: files that a later one replaced or removed, and removals.
    Only of images that were built in the same steps."""
    if one.steps != other.steps:
        return
    for index, (mine, theirs) in enumerate(zip(one.image.layers, other.image.layers, strict=True)):
        if mine.digest == theirs.digest:
            continue
        old, new = _by_path(mine, index), _by_path(theirs, index)
        for path in sorted({*old, *new} - {name.lstrip("/") or "." for name in told}):
            before, after = old.get(path), new.get(path)
            aspects = tuple(_find_aspects(before, after)) if before and after else ()
            if aspects or not (before and after):
                side = other if after else one
                package = side.package_of(path)
                yield FileChange(
                    path=_absolute(path), change="hidden", step=side.steps[index], package=package, aspects=aspects
                )


def _by_path(layer: Layer, index: int) -> dict[str, Placed]:
    return {entry.path: Placed(entry=entry, layer=index) for entry in layer.entries}


def _absolute(path: str) -> str:
    return "/" if path == "." else f"/{path}"


def _find_aspects(before: Placed, after: Placed) -> Iterator[Aspect]:
    old, new = dict(_describe(before)), dict(_describe(after))
    if old["type"] != new["type"]:  # nothing else of them can be held against each other
        yield Aspect(name="type", before=old["type"], after=new["type"])
        return
    yield from _differ(old, new)


def _describe(placed: Placed) -> Iterator[tuple[str, str]]:
    """Everything about a file that can differ, in words."""
    entry = placed.entry
    yield "type", entry.kind.value
    yield "mode", f"{entry.mode:04o}"
    yield "owner", f"{entry.owner[0]}:{entry.owner[1]}"
    yield "mtime", entry.mtime
    if entry.kind is EntryKind.FILE:
        yield "content", f"{entry.size} bytes, sha256 {entry.sha256[:SHORT]}"
    if entry.kind in (EntryKind.LINK, EntryKind.HARD_LINK):
        yield "target", entry.link
    if entry.kind in (EntryKind.CHARACTERS, EntryKind.BLOCKS):
        yield "device", f"{entry.device[0]}:{entry.device[1]}"
    if placed.same_as:
        yield "hard links", " ".join(f"/{name}" for name in placed.same_as)
    for name, value in sorted(entry.attributes.items()):
        yield ("capabilities" if name == CAPABILITY else f"attribute {name}"), value
