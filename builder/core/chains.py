"""Layers by what they stand on: what an engine calls them, and which of them an image has in common with another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def chain_ids(layers: Sequence[str]) -> tuple[str, ...]:
    """What an engine calls each layer (diff id) with all that it stands on. Source: the OCI image specification, "Layer
    ChainID"."""
    found: list[str] = []
    for layer in layers:
        found.append(f"sha256:{hashlib.sha256(f'{found[-1]} {layer}'.encode()).hexdigest()}" if found else layer)
    return tuple(found)


def count_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many layers both have, from the lowest on."""
    return next(
        (number for number, (mine, its) in enumerate(zip(one, other, strict=False)) if mine != its),
        min(len(one), len(other)),
    )


def find_left_out(layers: Sequence[str], there: int) -> frozenset[int]:
    """Which of the lowest `there` layers need not travel to an engine that has these. One that comes again further up
    does: there it has another chain id, and both are one file."""
    above = set(layers[there:])
    return frozenset(number for number, layer in enumerate(layers[:there]) if layer not in above)
