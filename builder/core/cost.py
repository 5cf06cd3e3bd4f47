"""What each tool costs: bytes, packages and layers of the image, and when what it starts is ready.

A file belongs to its package, a package to the tools whose named packages need it. Owns that reckoning; must not know
where an image comes from, and must not choose tools.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from builder.core.compare import lay_out
from builder.core.dpkg import resolve_needs
from builder.core.layer_steps import BASE
from builder.core.packages import find_packages
from builder.core.table import align, mega

if TYPE_CHECKING:
    from builder.core.compare import Side
    from builder.core.dpkg import DebPackage
    from builder.core.layers import SavedImage
    from builder.core.packages import Package
    from builder.model import RenderedFile, ResolvedTool

SERVICES: Final = "usr/lib/devbox/services/"
REST: Final = "other"  # caches and lists made by the build, and what belongs to nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one tool; of the base, and of what belongs to no tool, under these names."""

    name: str  # of the tool
    summary: str  # in words
    bytes: int  # what several tools need counts for the first of them
    alone_bytes: int  # of it what nobody else needs: so much an image without it is smaller
    packages: int  # of every kind, counted like the bytes
    layers: tuple[str, ...]  # names of the steps that made them
    ready_ms: int | None = None  # after the start, until all that it starts is ready; null: it starts nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of an image, and of each tool in it."""

    image: str  # its tag
    bytes: int  # of all layers
    hidden_bytes: int  # of them what a later layer replaced or removed
    packages: int  # of every kind
    layers: int  # how many
    ready_ms: int | None  # after the start, until a person can use it; null: it does not run
    parts: tuple[Cost, ...]  # the dearest first


def reckon_costs(
    image: SavedImage,
    reference: str,
    tools: Sequence[ResolvedTool],
    *,
    rootfs: Mapping[str, RenderedFile],
    phases: Mapping[str, float],
) -> Costs:
    """`tools` in the order in which they are installed, `rootfs` the files of their parts, `phases` seconds."""
    side = lay_out(image)
    shares = _share_out(side, _Owners(side, tools, rootfs))
    ready = find_ready(tools, rootfs, phases)
    summaries = {BASE: "what the base image brings", REST: "what the build left, and what no tool asked for"}
    summaries |= {tool.name: tool.summary for tool in tools}
    parts = [
        Cost(
            name=name,
            summary=summary,
            bytes=shares[name].bytes,
            alone_bytes=shares[name].alone,
            packages=shares[name].packages,
            layers=tuple(step for step in dict.fromkeys(side.steps) if step in shares[name].steps),
            ready_ms=ready.get(name),
        )
        for name, summary in summaries.items()
    ]
    total = sum(entry.size for layer in image.layers for entry in layer.entries)
    return Costs(
        image=reference,
        bytes=total,
        hidden_bytes=total - sum(part.bytes for part in parts),
        packages=sum(part.packages for part in parts),
        layers=len(image.layers),
        ready_ms=_milliseconds(phases.values()),
        parts=tuple(sorted(parts, key=lambda part: (-part.bytes, part.name))),
    )


@dataclass(slots=True)
class _Share:
    bytes: int = 0
    alone: int = 0
    packages: int = 0
    steps: set[str] = field(default_factory=set)


def _share_out(side: Side, owners: _Owners) -> Mapping[str, _Share]:
    shares: defaultdict[str, _Share] = defaultdict(_Share)
    for path, placed in side.files.items():
        names = owners.find(path)
        share = shares[names[0]]
        share.steps.add(side.steps[placed.layer])
        if any(other < path for other in placed.same_as):
            continue  # one more name of a file that was counted
        share.bytes += placed.entry.size
        share.alone += placed.entry.size if len(names) == 1 else 0
    for package in find_packages(side.contents):
        shares[owners.find_package(package)].packages += 1
    return shares


def find_needed_by(debs: Collection[DebPackage], roots: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Package -> which of `roots`, each with the packages that it names, need it, in their order."""
    needs = resolve_needs(debs)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, named in roots.items():
        pending, seen = [package for package in named if package in needs], set[str]()
        while pending:
            package = pending.pop()
            if package not in seen:
                seen.add(package)
                found[package].append(name)
                pending += needs[package]
    return {package: tuple(names) for package, names in found.items()}


class _Owners:
    """Whose a path is: names of tools, never none."""

    def __init__(self, side: Side, tools: Sequence[ResolvedTool], rootfs: Mapping[str, RenderedFile]) -> None:
        self._side = side
        self._debs = find_needed_by(side.contents.debs, {tool.name: tool.apt for tool in tools})
        for path, placed in side.files.items():
            if side.steps[placed.layer] == BASE:
                self._debs[side.package_of(path)] = (BASE,)
        self._places: defaultdict[str, list[str]] = defaultdict(list)
        for tool in tools:
            for place in _places_of(tool, rootfs):
                self._places[place].append(tool.name)

    def find(self, path: str) -> tuple[str, ...]:
        if self._side.steps[self._side.files[path].layer] == BASE:
            return (BASE,)
        if package := self._side.package_of(path):
            return self._debs.get(package, (REST,))
        return self._of_place(path)

    def _of_place(self, path: str) -> tuple[str, ...]:
        place = path
        while place:
            if place in self._places:
                return tuple(self._places[place])
            place = posixpath.dirname(place)
        return (REST,)

    def find_package(self, package: Package) -> str:
        if package.kind == "deb":
            return self._debs.get(package.name, (REST,))[0]
        return self._of_place(package.places[0])[0]


def _places_of(tool: ResolvedTool, rootfs: Mapping[str, RenderedFile]) -> Iterator[str]:
    """Files and folders that a tool brings without a package of Debian, as the image names them."""
    for source in (tool.wheel, tool.archive):
        yield from (rule.target.strip("/") for rule in (source.unpack if source else ()))
    if tool.npm:
        yield tool.npm.prefix.strip("/")
        yield from (f"usr/local/bin/{command}" for command in tool.npm.links)
    if tool.python:
        yield tool.python.prefix.strip("/")
    for path in rootfs:
        part, _, target = path.partition("/")
        if part in tool.rootfs:
            yield target


# -------------------------------------------------------------------------------------------------------- start


def find_ready(
    tools: Sequence[ResolvedTool], rootfs: Mapping[str, RenderedFile], phases: Mapping[str, float]
) -> dict[str, int]:
    """Tool -> milliseconds after the start when the last phase of its services came; only of those that came."""
    found = {}
    for tool in tools:
        starts = tuple(f"{part}/{SERVICES}" for part in tool.rootfs)
        files = [path for path in rootfs if path.startswith(starts) and posixpath.basename(path) == "ready"]
        names = {line.split()[0] for path in files for line in rootfs[path].data.decode().splitlines() if line.strip()}
        moment = _milliseconds([phases[name] for name in names if name in phases]) if starts else None
        if moment is not None:
            found[tool.name] = moment
    return found


def _milliseconds(seconds: Collection[float]) -> int | None:
    return round(max(seconds) * 1000) if seconds else None


# ----------------------------------------------------------------------------------------------------- in words

HEAD: Final = ("TOOL", "MB", "ALONE", "PACKAGES", "READY", "LAYERS")


def describe_costs(found: Costs) -> Iterator[str]:
    """A table, the dearest first, and what it comes to."""
    rows = [HEAD, *(_row(part) for part in found.parts if part.layers)]
    if found.hidden_bytes:
        rows.append(("replaced later", mega(found.hidden_bytes, 1), "", "", "", ""))
    ready = "" if found.ready_ms is None else f"{found.ready_ms} ms"
    rows.append(("all", mega(found.bytes, 1), "", str(found.packages), ready, f"{found.layers} layers"))
    yield from align(rows, right=range(1, 5))


def _row(part: Cost) -> tuple[str, ...]:
    ready = "-" if part.ready_ms is None else f"{part.ready_ms} ms"
    own = part.name in (BASE, REST)
    layers = part.layers if len(part.layers) < 4 else (*part.layers[:3], "...")
    alone = "" if own else mega(part.alone_bytes, 1)
    return part.name, mega(part.bytes, 1), alone, str(part.packages), ready, ", ".join(layers)
