"""What the engine says, in our words: values without behaviour, and the pure readers of the engine's JSON.

Owns no connection and imports no SDK: `engine_look` reads the same answers without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from builder.views import ContainerView, ImageView, Stats

# Podman names the ports of such a container, too; it holds none of them.
HOLDING_NONE: Final = ("created", "exited", "dead")
Json = Mapping[str, Any]  # an answer of the engine; it stays inside the adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """Bytes that the engine holds."""

    images: int
    containers: int
    volumes: int
    build_cache: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """Something that happened to a container: start, die, health_status: healthy, ..."""

    action: str
    container: str  # id
    name: str
    time: float  # seconds since the epoch, of the engine's clock
    exit_code: int | None


def container_view(raw: Json) -> ContainerView:
    """Read one entry of `GET /containers/json`: state, health and exit code come without an inspect per container."""
    status = str(raw.get("Status", ""))
    ports = () if raw["State"] in HOLDING_NONE else raw.get("Ports") or ()
    return ContainerView(
        id=raw["Id"],
        name=raw["Names"][0].lstrip("/") if raw.get("Names") else "",
        state=raw["State"],
        health=_health(status),
        image=raw["Image"],
        image_id=raw["ImageID"],
        labels=dict(raw.get("Labels") or {}),
        ports=published_ports(ports),
        addresses=published_addresses(ports),
        created=datetime.fromtimestamp(raw["Created"], timezone.utc).isoformat(),
        exit_code=_exit_code(status),
    )


def _health(status: str) -> str:
    """The engine tells health only inside its sentence: "Up 3 seconds (health: starting)"."""
    for mark, health in (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting")):
        if mark in status:
            return health
    return "none"


def _exit_code(status: str) -> int:
    """From "Exited (137) 3 seconds ago"; 0 for what runs or never ran."""
    words = status.split()
    if len(words) > 1 and words[0] in ("Exited", "Restarting"):
        code = words[1].strip("()")
        return int(code) if code.lstrip("-").isdigit() else 0
    return 0


def published_ports(ports: Sequence[Json]) -> dict[int, int]:
    return {port["PrivatePort"]: port["PublicPort"] for port in ports if port.get("PublicPort")}


def published_addresses(ports: Sequence[Json]) -> dict[int, str]:
    return {port["PrivatePort"]: str(port["IP"]) for port in ports if port.get("PublicPort") and port.get("IP")}


def image_view(raw: Json) -> ImageView:
    """Read `GET /images/{name}/json`."""
    config = raw.get("Config") or {}
    return ImageView(
        id=raw["Id"],
        tags=tuple(sorted(raw.get("RepoTags") or ())),
        digests=tuple(sorted(raw.get("RepoDigests") or ())),
        labels=dict(config.get("Labels") or {}),
        size=raw.get("Size", 0),
        created=raw.get("Created", ""),
        env=dict(item.partition("=")[::2] for item in config.get("Env") or ()),
        arch=raw.get("Architecture", ""),
        layers=tuple((raw.get("RootFS") or {}).get("Layers") or ()),
    )


def stats_view(raw: Json) -> Stats:
    """Read `GET /containers/{id}/stats` (no stream). Inactive page cache is not "in use": the kernel can drop it."""
    memory = raw.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = details.get("inactive_file", details.get("total_inactive_file", 0))
    return Stats(
        memory=max(0, memory.get("usage", 0) - cache),
        memory_limit=memory.get("limit", 0),
        cpu=_cores(raw.get("cpu_stats") or {}, raw.get("precpu_stats") or {}),
    )


def _cores(now: Json, before: Json) -> float:
    used = now.get("cpu_usage", {}).get("total_usage", 0) - before.get("cpu_usage", {}).get("total_usage", 0)
    host = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    if used <= 0 or host <= 0:
        return 0.0
    return float(used) / float(host) * float(now.get("online_cpus") or 1)


def disk_view(raw: Json) -> DiskUsage:
    """Read `GET /system/df`. Image layers are counted once."""
    return DiskUsage(
        images=raw.get("LayersSize") or 0,
        containers=sum(item.get("SizeRw") or 0 for item in raw.get("Containers") or ()),
        volumes=sum(max(0, (item.get("UsageData") or {}).get("Size", 0)) for item in raw.get("Volumes") or ()),
        build_cache=sum(item.get("Size", 0) for item in raw.get("BuildCache") or () if not item.get("Shared")),
    )


def project_disks(raw: Json) -> dict[str, int]:
    """Of the same answer: bytes by Compose project, in what its containers wrote and in its volumes."""
    sizes: dict[str, int] = {}
    for kind, size_of in (("Containers", _written), ("Volumes", _held)):
        for item in raw.get(kind) or ():
            project = (item.get("Labels") or {}).get("com.docker.compose.project")
            if project is not None:
                sizes[project] = sizes.get(project, 0) + size_of(item)
    return sizes


def _written(container: Json) -> int:
    return int(container.get("SizeRw") or 0)


def _held(volume: Json) -> int:
    return max(0, int((volume.get("UsageData") or {}).get("Size", 0)))


def event_view(raw: Json) -> EngineEvent:
    """Read one event of `GET /events` about a container."""
    attributes = raw.get("Actor", {}).get("Attributes", {})
    code = attributes.get("exitCode", "")
    return EngineEvent(
        action=raw.get("Action", ""),
        container=raw.get("Actor", {}).get("ID", ""),
        name=attributes.get("name", ""),
        time=raw.get("timeNano", 0) / 1e9,
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
    )
