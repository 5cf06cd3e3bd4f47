"""The layers of a saved image, and the one tree of files that they are together.

Owns the rules by which a layer hides or replaces what lies below it: the OCI image specification, layer.md,
"Applying Changesets" and "Whiteouts". Must not know where layers come from.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"


class EntryKind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    HARD_LINK = "hard link"
    CHARACTERS = "character device"
    BLOCKS = "block device"
    PIPE = "pipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEntry:
    """One member of a layer's tar, without its bytes."""

    path: str  # relative and normal; "." is the root
    kind: EntryKind
    mode: int = 0o644  # permissions, with setuid, setgid and sticky
    owner: tuple[int, int] = (0, 0)  # user and group id
    mtime: str = ""  # RFC 3339
    size: int = 0
    sha256: str = ""  # of a file, hex
    link: str = ""  # where a symbolic link leads; the path that a hard link is one with
    device: tuple[int, int] = (0, 0)
    attributes: Mapping[str, str] = field(default_factory=dict)  # extended ones: name -> hex of the value
    data: bytes = b""  # all or the part of it that was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    digest: str  # sha256:... of the tar without compression
    entries: tuple[LayerEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """What `docker save` tells of one image."""

    settings: Mapping[str, str]  # "env PATH", "label x", "entrypoint" ... -> value
    labels: Mapping[str, str]
    created_by: tuple[str, ...]  # one for each layer; empty where that is not known
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A file, folder or link as a container sees it, and the layer (its index) that put it there."""

    entry: LayerEntry
    layer: int
    same_as: tuple[str, ...] = ()  # the other names of the same file


@dataclass(slots=True)
class _Node:
    entry: LayerEntry | None = None
    layer: int = 0
    inode: tuple[int, str] = (0, "")
    children: dict[str, _Node] = field(default_factory=dict)


def merge_layers(layers: Sequence[Layer]) -> dict[str, Placed]:
    """Everything that is left when each layer was laid upon those below it, by path."""
    root = _Node()
    for index, layer in enumerate(layers):
        # What hides is about the layers below, wherever it stands in this one.
        for entry in layer.entries:
            _hide(root, entry.path)
        for entry in layer.entries:
            if not posixpath.basename(entry.path).startswith(WHITEOUT):
                _place(root, entry, index)
    nodes = sorted(_walk(root), key=lambda node: node[0])
    names: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for path, node in nodes:
        names[node.inode].append(path)
    return {
        path: Placed(
            entry=node.entry, layer=node.layer, same_as=tuple(name for name in names[node.inode] if name != path)
        )
        for path, node in nodes
        if node.entry
    }


def _hide(root: _Node, path: str) -> None:
    folder, name = posixpath.split(path)
    if not name.startswith(WHITEOUT):
        return
    parent = _find(root, folder)
    if parent is None:
        return
    if name == OPAQUE:
        parent.children.clear()
    else:
        parent.children.pop(name.removeprefix(WHITEOUT), None)


def _place(root: _Node, entry: LayerEntry, layer: int) -> None:
    node = root
    for part in _parts(entry.path):
        node = node.children.setdefault(part, _Node())
    target = _find(root, entry.link) if entry.kind is EntryKind.HARD_LINK else None
    if target is not None and target.entry is not None:
        node.entry, node.inode = replace(target.entry, path=entry.path), target.inode
    else:
        node.entry, node.inode = entry, (layer, entry.path)
    node.layer = layer
    if entry.kind is not EntryKind.FOLDER:
        node.children.clear()


def _find(root: _Node, path: str) -> _Node | None:
    node = root
    for part in _parts(path):
        if part not in node.children:
            return None
        node = node.children[part]
    return node


def _parts(path: str) -> list[str]:
    return [] if path in ("", ".") else path.split("/")


def _walk(root: _Node) -> Iterator[tuple[str, _Node]]:
    pending = [(".", root)]
    while pending:
        path, node = pending.pop()
        if node.entry is not None:
            yield path, node
        pending += [(name if path == "." else f"{path}/{name}", child) for name, child in node.children.items()]
