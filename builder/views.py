"""A container and an image as the engine sees them, in our words.

Apart from `model` because the fastest answers (`shortcut`) need these and nothing else of it: to make a module of fifty
dataclasses takes as long as the rest of such an answer. Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """A container as the engine sees it, in our words."""

    id: str
    name: str
    state: str  # created | running | exited | dead | paused | restarting
    health: str  # healthy | unhealthy | starting | none
    image: str
    image_id: str
    labels: Mapping[str, str]
    ports: Mapping[int, int]  # container -> host
    created: str
    exit_code: int = 0
    addresses: Mapping[int, str] = field(default_factory=dict)  # container -> address of the host, of published ports

    def address(self, inside: int) -> str:
        """Where this machine reaches a published port: one that is on every address is on loopback, too."""
        found = self.addresses.get(inside, "127.0.0.1")
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(found, found)  # noqa: S104  # nothing is bound here


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A network or volume of a workstation."""

    kind: str  # network | volume
    name: str
    workspace: str  # the folder that it was made for
    project: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    id: str  # sha256:...
    tags: tuple[str, ...]
    digests: tuple[str, ...]  # name@sha256:..., empty for what was built or imported here
    labels: Mapping[str, str]
    size: int  # bytes
    created: str  # RFC 3339
    env: Mapping[str, str]
    arch: str
    layers: tuple[str, ...] = ()  # diff ids, the lowest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a running container takes."""

    memory: int  # bytes in use, without the page cache that can be dropped
    memory_limit: int  # bytes
    cpu: float  # cores in use
