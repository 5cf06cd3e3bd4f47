"""The containers of sidecars, as the same value that the workstation's is, and what they give to the workstation.

Owns their names, volumes and limits. Must not know an engine, or which of two images can be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.canonical import canonical_json, content_id
from builder.core.labels import LABEL_SPEC, LABEL_SUBSTITUTIONS, LABEL_WORKSPACE
from builder.core.sidecars import fill_password
from builder.core.stamp import spec_content
from builder.model import HealthSpec, PublishedPort, ServiceSpec, Substitution, VolumeSpec

if TYPE_CHECKING:
    from builder.model import Runtime, Sidecar, SidecarForm

TMPFS: Final = "rw,nosuid,nodev,noexec,mode=1777,size=64m"
RESTARTS, GRACE_S = 5, 10
SHM: Final = 64 << 20
# Seldom: `up` asks by itself while it waits, and each look starts programs.
INTERVAL_S, TIMEOUT_S, START_S, RETRIES = 10.0, 5.0, 60.0, 3


def volume_key(sidecar: str, form: SidecarForm) -> str:
    """Each form has a volume of its own: what one wrote the other may not be able to read."""
    return f"sidecar-{sidecar}" if form.image else f"sidecar-{sidecar}-built"


def make_sidecar(
    runtime: Runtime,
    sidecar: Sidecar,
    form: SidecarForm,
    *,
    image: str,
    workspace: str,
    secrets: str,
    port: int | None,
    bind: str,
) -> ServiceSpec:
    """The container of `sidecar` in one of its forms. `port` of this machine, where it is published."""
    key = volume_key(sidecar.name, form)
    volumes = (VolumeSpec(key=key, name=f"{runtime.project}_{key}", target=form.volume),) if form.volume else ()
    published = (PublishedPort(name=sidecar.name, container=sidecar.port, host=port, bind=bind),) if port else ()
    instead = () if form.image or sidecar.pulled is None else (make_substitution(sidecar, image),)
    labels = {LABEL_SUBSTITUTIONS: canonical_json(instead), LABEL_WORKSPACE: workspace}
    spec = ServiceSpec(
        project=runtime.project,
        service=sidecar.name,
        image=image,
        hostname=sidecar.name,
        environment=form.environment,
        labels={},
        ports=published,
        volumes=volumes,
        mounts=(),
        secrets_dir=secrets,
        tmpfs=dict.fromkeys(form.tmpfs, TMPFS),
        cap_drop=("ALL",),
        cap_add=form.cap_add,
        security_opt=("no-new-privileges:true",),
        read_only=form.read_only,
        restart="on-failure",
        restart_retries=RESTARTS,
        stop_grace_s=GRACE_S,
        shm=SHM,
        memory=sidecar.memory,
        cpus=None,
        pids=sidecar.pids,
        health=HealthSpec(
            test=("CMD", *form.health),
            interval_s=INTERVAL_S,
            timeout_s=TIMEOUT_S,
            start_period_s=START_S,
            retries=RETRIES,
        ),
        user=form.user,
        command=form.command,
    )
    return replace(spec, labels={**labels, LABEL_SPEC: content_id(spec_content(spec))})


def make_substitution(sidecar: Sidecar, image: str, reason: str = "") -> Substitution:
    wanted = sidecar.pulled.image if sidecar.pulled else ""
    return Substitution(what=sidecar.name, wanted=wanted, got=image, reason=reason)


def give_variables(runtime: Runtime, passwords: Mapping[str, str]) -> Mapping[str, str]:
    """What the workstation gets to know of its sidecars; `passwords` by sidecar."""
    return {
        variable: fill_password(text, passwords[sidecar.name])
        for sidecar in runtime.sidecars
        for variable, text in sidecar.gives.items()
    }
