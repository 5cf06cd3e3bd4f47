"""The container of a workstation, as one value: what the engine call and compose.yaml are both made from.

Owns names, labels and the static part (compose/workstation.yaml). Must not know an engine or a file format of Compose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import yaml
from pydantic import BaseModel, ConfigDict

from builder.core.canonical import canonical_json
from builder.core.labels import (
    LABEL_ENVIRONMENT,
    LABEL_EXPOSED,
    LABEL_PLAN,
    LABEL_REQUESTED_BASE,
    LABEL_SUBSTITUTIONS,
    LABEL_WORKSPACE,
)
from builder.core.stamp import stamp
from builder.model import EMPTY, HealthSpec, Level, Plan, PublishedPort, Runtime, ServiceSpec, VolumeSpec


class HealthFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    test: tuple[str, ...]
    interval_s: float
    timeout_s: float
    start_period_s: float
    retries: int


class LevelFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    read_only: bool = False
    as_user: bool = False  # PID 1 is the user, to whom /run and /tmp belong then


class ServiceFile(BaseModel):
    """compose/workstation.yaml: what is the same for every workstation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    volumes: dict[str, str]  # key -> target; {user} is the login name
    tmpfs: dict[str, str]  # target -> mount options
    cap_drop: tuple[str, ...]
    levels: dict[Level, LevelFile]
    restart: str
    restart_retries: int = 0
    stop_grace_s: int
    health: HealthFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where on this machine a workstation belongs: its folder, its secrets, and the host ports that it got."""

    workspace: str
    secrets_dir: str
    ports: Mapping[str, int]  # name -> host port
    environment: str = ""  # token of the variables that are handed in; "" where there are none
    authority: str | None = None  # certificate of the authority that signs for exposed workstations
    volumes: Mapping[str, str] = field(
        default_factory=dict
    )  # key -> name, where a restored one took the place of the usual one


def parse_service(static: str) -> ServiceFile:
    """Of the text of compose/workstation.yaml."""
    return ServiceFile.model_validate(yaml.safe_load(static))


def make_service(plan: Plan, runtime: Runtime, site: Site, static: str) -> ServiceSpec:
    """Combine the plan, what the config decides at run time, and `static`, the text of compose/workstation.yaml."""
    fixed = parse_service(static)
    level = fixed.levels[runtime.level]
    owner = f",uid={runtime.uid},gid={runtime.gid}" if level.as_user else ""
    names = name_volumes(static, runtime.project, site.volumes)
    spec = ServiceSpec(
        project=runtime.project,
        service=fixed.service,
        image=plan.image,
        hostname=runtime.hostname,
        environment=dict(sorted(runtime.environment.items())),
        labels={},
        ports=_publish(runtime, site),
        volumes=tuple(
            VolumeSpec(key=key, name=names[key], target=target.format(user=runtime.user))
            for key, target in sorted(fixed.volumes.items())
        ),
        mounts=runtime.mounts,
        secrets_dir=site.secrets_dir,
        tmpfs={target: options + owner for target, options in fixed.tmpfs.items()},
        cap_drop=fixed.cap_drop,
        cap_add=level.cap_add,
        security_opt=level.security_opt,
        read_only=level.read_only,
        restart=fixed.restart,
        restart_retries=fixed.restart_retries,
        stop_grace_s=fixed.stop_grace_s,
        shm=runtime.shm,
        memory=runtime.memory,
        cpus=runtime.cpus,
        pids=runtime.pids,
        health=HealthSpec(**fixed.health.model_dump()),
        user=f"{runtime.uid}:{runtime.gid}" if level.as_user else None,
    )
    return stamp(replace(spec, labels={**_labels(plan, site), **_exposed_label(runtime, site)}))


def name_volumes(static: str, project: str, chosen: Mapping[str, str] = EMPTY) -> Mapping[str, str]:
    """Key -> name of each volume of a workstation: Compose's own name, or the `chosen` one."""
    fixed = parse_service(static)
    return {key: chosen.get(key, f"{project}_{key}") for key in sorted(fixed.volumes)}


def _labels(plan: Plan, site: Site) -> Mapping[str, str]:
    """Labels by which we, and people, find a workstation again."""
    return {
        LABEL_PLAN: plan.id,
        LABEL_REQUESTED_BASE: plan.requested_base,
        LABEL_SUBSTITUTIONS: canonical_json(plan.substitutions),
        LABEL_WORKSPACE: site.workspace,
        **({LABEL_ENVIRONMENT: site.environment} if site.environment else {}),
    }


def _exposed_label(runtime: Runtime, site: Site) -> Mapping[str, str]:
    """For `status`, which reads no config: how to call it, and what to trust."""
    if runtime.exposure is None:
        return {}
    trust = site.authority or "" if runtime.exposure.certificate is None else ""
    return {LABEL_EXPOSED: canonical_json({"name": runtime.exposure.name or "", "trust": trust})}


def _publish(runtime: Runtime, site: Site) -> tuple[PublishedPort, ...]:
    return tuple(
        PublishedPort(
            name=port.name, container=port.container, host=site.ports[port.name], bind=runtime.bind_of(port.name)
        )
        for port in sorted(runtime.ports, key=lambda port: port.container)
    )
