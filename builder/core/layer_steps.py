"""Which step of the plan a layer of an image comes from, told by the instruction that made it and by what is in it.

The history of an image is all that is left of its Dockerfile, and its label `dev.devbox.steps` of its plan. Owns the
reading of both; how a step is written down is `templates/`, and a test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_PREFIX
from builder.core.resolve import npm_prefix

if TYPE_CHECKING:
    from builder.core.layers import Layer

BASE: Final = "base"
LONGEST: Final = 72  # signs of an instruction that stand for a step where there is none
_APT: Final = re.compile(r"/usr/lib/devbox/apt-install (.*?)(?: # buildkit)?$")
_QUERY: Final = re.compile(r"\$\(.*?\)")  # of an update: all that is installed
_COPY: Final = re.compile(r"COPY (\S+) / # buildkit$")


def name_steps(created_by: Sequence[str], labels: Mapping[str, str], layers: Sequence[Layer]) -> tuple[str, ...]:
    """A name for each layer: of the step, else the instruction itself, else its number. What lies below the first
    layer of ours belongs to the base."""
    steps = _read_label(labels.get(f"{LABEL_PREFIX}steps", "{}"))
    named = [_find_step(text, steps, layer) for text, layer in zip(created_by, layers, strict=True)]
    first = next((index for index, name in enumerate(named) if name), len(named) if not steps else 0)
    return tuple(
        name or (BASE if steps and index < first else _shorten(created_by[index]) or f"layer {index + 1}")
        for index, name in enumerate(named)
    )


def _read_label(text: str) -> Mapping[str, Sequence[str]]:
    """{step: (id, summary)}. One that is not of devbox is none: any image can carry a label of that name."""
    try:
        steps = json.loads(text)
        return {str(name): (str(identity), str(summary)) for name, (identity, summary) in steps.items()}
    except (AttributeError, TypeError, ValueError, RecursionError):
        return {}


def _find_step(instruction: str, steps: Mapping[str, Sequence[str]], layer: Layer) -> str | None:
    if found := _APT.search(instruction):
        return _find_apt(_QUERY.sub("", found[1]).split(), steps)
    if "/usr/lib/devbox/configure" in instruction:
        return "configure" if "configure" in steps else None
    if found := _COPY.search(instruction):
        return _find_copy(found[1], steps, layer)
    return None


def _find_apt(packages: Sequence[str], steps: Mapping[str, Sequence[str]]) -> str | None:
    """By its summary, which names up to three packages and counts more of them (`plan._apt_step`)."""
    told = (" ".join(sorted(packages)), f"{len(packages)} Debian packages")
    names = [name for name, (_, summary) in steps.items() if name.partition(":")[0] == "apt" and summary in told]
    return names[0] if names else None


def _find_copy(source: str, steps: Mapping[str, Sequence[str]], layer: Layer) -> str | None:
    parts = source.strip("/").split("/")
    if parts == ["out"]:  # of a stage, whose name is not told: what it brings lies in a folder of its own
        paths = {entry.path for entry in layer.entries}
        return next((name for name in steps if _folder_of(name) in paths), None)
    name = parts[-1] if len(parts) == 1 or parts[0] == "artifacts" else ""
    return name if name in steps else None


def _folder_of(step: str) -> str:
    kind, _, rest = step.partition(":")
    return (npm_prefix(rest) if kind == "npm" else f"/opt/{kind}").lstrip("/")


def _shorten(instruction: str) -> str:
    text = " ".join(instruction.removesuffix("# buildkit").split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
