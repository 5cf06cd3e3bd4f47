"""Throw-away workstations: started from an image for a look, with secrets of their own, and always taken away again.

Owns the whole life of one. Never touches a container, volume or network of another project.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builder.adapters.clock import wait_for
from builder.adapters.keys import KeyStore
from builder.core.service import Site, make_service
from builder.errors import EngineError, NotReadyError

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine
    from builder.model import Keys, Plan, Resolved, ServiceSpec
    from builder.views import ContainerView

READY_FILE: Final = "/run/devbox/ready.json"
START_S: Final = 60.0
STOP_S: Final = 1

Tweak = Callable[["ServiceSpec"], "ServiceSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a throw-away is made of. `tweak` changes the service before it is made: for a test that breaks something."""

    engine: Engine
    plan: Plan
    resolved: Resolved
    static: str  # compose/workstation.yaml
    image: str
    tweak: Tweak | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    container: ContainerView
    keys: Keys
    resolved: Resolved  # with the project's own name


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a start ended. `reason` says why it is not ready."""

    ready: bool
    phases: Mapping[str, float]
    reason: str = ""


@contextmanager
def boot(recipe: Recipe, *, wait: bool = True) -> Iterator[Running]:
    """Start one, wait until it is ready or has given up, hand it over, take it away with its volumes and secrets."""
    project = f"{recipe.resolved.runtime.project[:28]}-verify-{secrets.token_hex(3)}"
    engine = recipe.engine
    with tempfile.TemporaryDirectory(prefix="devbox-verify-") as folder:
        home = Path(folder)
        # No home with keys in it: the pair that opens this one is made for it.
        keys = KeyStore(home / "state", home / "nobody").ensure(project, home, ())
        resolved = _rename(recipe.resolved, project)
        spec = _make_spec(recipe, resolved, keys, home)
        try:
            engine.create(spec)
            engine.start(spec.container_name)
            if wait:
                wait_started(engine, spec.container_name)
            container = engine.find_container(project)
            if container is None:
                raise EngineError(f"the throw-away {spec.container_name} vanished", hint="run it again")
            yield Running(container=container, keys=keys, resolved=resolved)
        finally:
            _take_away(engine, spec)


def _rename(resolved: Resolved, project: str) -> Resolved:
    """Another project, nobody's folders, and any free port: nothing of it is shared with a real workstation."""
    ports = tuple(replace(port, host=0, pinned=False) for port in resolved.runtime.ports)
    runtime = replace(resolved.runtime, project=project, hostname=project[:60], mounts=(), ports=ports)
    return replace(resolved, runtime=runtime)


def _make_spec(recipe: Recipe, resolved: Resolved, keys: Keys, home: Path) -> ServiceSpec:
    ports = {port.name: 0 for port in resolved.runtime.ports}
    site = Site(workspace=str(home), secrets_dir=keys.folder, ports=ports)
    plan = replace(recipe.plan, image=recipe.image)
    spec = replace(make_service(plan, resolved.runtime, site, recipe.static), restart="no")
    return recipe.tweak(spec) if recipe.tweak else spec


def _take_away(engine: Engine, spec: ServiceSpec) -> None:
    engine.remove(spec.container_name)
    engine.remove_network(spec.project)
    for volume in engine.volumes(spec.project):
        engine.remove_volume(volume)


def read_start(engine: Engine, container: str) -> Start:
    """What the probe has written so far."""
    done = engine.run(container, ["cat", READY_FILE], timeout_s=10)
    told: dict[str, Any] = json.loads(done.stdout) if done.code == 0 else {}
    phases = {name: float(seconds) for name, seconds in sorted(told.get("phases", {}).items())}
    reason = "; ".join(f"{name}: {why}" for name, why in sorted(told.get("failed", {}).items()))
    return Start(ready=bool(told.get("ready")), phases=phases, reason=reason or "it is still starting")


def wait_started(engine: Engine, container: str) -> None:
    """Until the probe inside has come to an end, good or bad. One that never does is seen by the checks."""

    def look() -> Start | None:
        start = read_start(engine, container)
        return start if start.ready or start.reason != "it is still starting" else None

    try:
        wait_for("the start of a throw-away", look, deadline_s=START_S, interval_s=0.25)
    except NotReadyError:
        return  # read_start says so to whoever asks
