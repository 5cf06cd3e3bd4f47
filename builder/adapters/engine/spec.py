"""From a ServiceSpec to what the engine's API wants, in the very form in which Docker Compose would say it.

Pure. Each choice below (labels, aliases, mounts, attached streams, empty lists ...) is that of Compose 2 and 5, so that
`docker compose -p PROJECT` takes what devbox made for its own, and a test can compare `inspect` of both.
Must not decide anything about the workstation: that is `core.service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from builder.core.labels import LABEL_PROCESS, LABEL_SERVICE, LABEL_SPEC, LABEL_WORKSPACE
from builder.model import Mount

if TYPE_CHECKING:
    from builder.model import HealthSpec, ServiceSpec, VolumeSpec

PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = LABEL_SERVICE
SECRETS_TARGET: Final = "/run/secrets"
COMPOSE_FILE: Final = ".workstation/compose.yaml"
# The oldest Compose whose label set this is; `docker compose` refuses nothing by it, it only shows it.
COMPOSE_VERSION: Final = "2.26.1"


def is_ours(labels: Mapping[str, str] | None) -> bool:
    """Whether devbox made it, or Compose from the file that devbox rendered.

    Other labels of ours prove nothing: every container inherits those of its image, also somebody else's.
    """
    return LABEL_WORKSPACE in (labels or {})


def container_labels(spec: ServiceSpec, image_id: str) -> dict[str, str]:
    workspace = spec.labels.get(LABEL_WORKSPACE, "")
    return {
        **spec.labels,
        PROJECT: spec.project,
        SERVICE: spec.service,
        "com.docker.compose.config-hash": spec.labels.get(LABEL_SPEC, ""),
        "com.docker.compose.container-number": "1",
        "com.docker.compose.depends_on": "",
        "com.docker.compose.image": image_id,
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project.config_files": f"{workspace}/{COMPOSE_FILE}",
        "com.docker.compose.project.working_dir": f"{workspace}/{COMPOSE_FILE}".rpartition("/")[0],
        "com.docker.compose.version": COMPOSE_VERSION,
    }


def network_labels(spec: ServiceSpec) -> dict[str, str]:
    return _resource_labels(spec) | {"com.docker.compose.network": "default"}


def volume_labels(spec: ServiceSpec, volume: VolumeSpec) -> dict[str, str]:
    return _resource_labels(spec) | {"com.docker.compose.volume": volume.key}


def _resource_labels(spec: ServiceSpec) -> dict[str, str]:
    """No config-hash here: Compose compares it where it is there, and asks to make the volume anew, losing its data."""
    process = {LABEL_PROCESS: spec.labels[LABEL_PROCESS]} if LABEL_PROCESS in spec.labels else {}
    return {**process, **resource_labels(spec.project, spec.labels.get(LABEL_WORKSPACE, ""))}


def resource_labels(project: str, workspace: str) -> dict[str, str]:
    return {LABEL_WORKSPACE: workspace, PROJECT: project, "com.docker.compose.version": COMPOSE_VERSION}


def create_arguments(spec: ServiceSpec, image_id: str) -> dict[str, Any]:
    """The body of `POST /containers/create`. `image_id` goes into a label only: it is spec.image that runs."""
    return {
        "Image": spec.image,
        "Hostname": spec.hostname,
        "User": spec.user or "",
        **({"Cmd": list(spec.command)} if spec.command else {}),
        "Env": [f"{name}={value}" for name, value in sorted(spec.environment.items())],
        "Labels": container_labels(spec, image_id),
        "ExposedPorts": {f"{port.container}/tcp": {} for port in spec.ports},
        "Healthcheck": _health(spec.health),
        "StopTimeout": spec.stop_grace_s,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _host_config(spec),
        "NetworkingConfig": {"EndpointsConfig": {spec.network: {"Aliases": [spec.container_name, spec.service]}}},
    }


def _host_config(spec: ServiceSpec) -> dict[str, Any]:
    return {
        "Mounts": [*(_volume(item) for item in spec.volumes), *(_bind(item) for item in _folders(spec))],
        "Tmpfs": dict(spec.tmpfs),
        "NetworkMode": spec.network,
        "PortBindings": {
            f"{port.container}/tcp": [{"HostIp": port.bind, "HostPort": str(port.host)}] for port in spec.ports
        },
        "RestartPolicy": {
            "Name": spec.restart,
            "MaximumRetryCount": spec.restart_retries if spec.restart == "on-failure" else 0,
        },
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": list(spec.security_opt) or None,
        "ReadonlyRootfs": spec.read_only,
        "ShmSize": spec.shm,
        "Memory": spec.memory or 0,
        "NanoCpus": int((spec.cpus or 0) * 1e9),
        "PidsLimit": spec.pids,
        "ExtraHosts": [],
    }


def _volume(volume: VolumeSpec) -> dict[str, Any]:
    return {"Type": "volume", "Source": volume.name, "Target": volume.target}


def _folders(spec: ServiceSpec) -> tuple[Mount, ...]:
    return (Mount(source=spec.secrets_dir, target=SECRETS_TARGET, read_only=True), *spec.mounts)


def _bind(mount: Mount) -> dict[str, Any]:
    """As a mount and not in the short form `Binds`, which makes a missing folder as root and breaks at a colon. What is
    no path is a volume, as in Compose: where the secrets are on another machine."""
    kind = "bind" if mount.source.startswith("/") else "volume"
    return {"Type": kind, "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}


def _health(health: HealthSpec) -> dict[str, Any]:
    return {
        "Test": list(health.test),
        "Interval": _nanoseconds(health.interval_s),
        "Timeout": _nanoseconds(health.timeout_s),
        "StartPeriod": _nanoseconds(health.start_period_s),
        "Retries": health.retries,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
