"""The workstation that ran last, out of history.json without the lock and the changes beside it.

For a start without a plan: those take longer to read than all else of it. Nothing is held to a schema here: the id
among a spec's labels is made of all that a container is, so what is damaged, or of another devbox, has another id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.core.labels import LABEL_SPEC
from builder.core.stamp import stamp
from builder.model import HealthSpec, Mount, PublishedPort, ServiceSpec, VolumeSpec

LISTS = ("cap_drop", "cap_add", "security_opt", "command")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    spec: ServiceSpec
    image: str  # id


def read_recorded(history: Any) -> Recorded | None:  # whatever stood in the file
    """None where there is none, it is not what it says it is, or more is to be done than to start it: somebody went
    back to it, or images of before wait to be removed."""
    try:
        if history["hold"] is not None or history["older"]:
            return None
        told = history["current"]
        spec = _read_spec(told["spec"])
        proved = stamp(spec).labels[LABEL_SPEC] == spec.labels[LABEL_SPEC]
        return Recorded(spec=spec, image=str(told["image"])) if proved else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _read_spec(told: Mapping[str, Any]) -> ServiceSpec:
    health = told["health"]
    return ServiceSpec(
        **{
            **told,
            **{name: tuple(told[name]) for name in LISTS},
            "ports": tuple(PublishedPort(**port) for port in told["ports"]),
            "volumes": tuple(VolumeSpec(**volume) for volume in told["volumes"]),
            "mounts": tuple(Mount(**mount) for mount in told["mounts"]),
            "health": HealthSpec(**{**health, "test": tuple(health["test"])}),
        }
    )
