"""Throw-away workstations: started from an image for a look, with secrets of their own, and always taken away again.

Owns the whole life of one, also of those whose process was killed before it could take them away. Never touches a
container, volume or network of another project.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builder.adapters.keys import KeyStore
from builder.adapters.living import is_gone, this_process
from builder.core.labels import LABEL_PROCESS, LABEL_WORKSPACE
from builder.core.service import Site, make_service
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine
    from builder.adapters.errands import Commands
    from builder.model import Keys, Plan, Resolved, ServiceSpec
    from builder.views import ContainerView

PROBE: Final = "/usr/lib/devbox/probe"
READY_FILE: Final = "/run/devbox/ready.json"
START_S: Final = 60.0
FOLDER: Final = "devbox-verify-"  # begins the name of the temporary folder with its secrets

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
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
        home = Path(folder)
        # No home with keys in it: the pair that opens this one is made for it.
        store = KeyStore(home / "state", home / "nobody")
        resolved = _rename(recipe.resolved, project)
        store.ensure_web(project, home, resolved.runtime.exposure, ())
        keys = store.ensure(project, home, (), reader=resolved.runtime.reader)
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
            _take_away(engine, project)


def _rename(resolved: Resolved, project: str) -> Resolved:
    """Another project, nobody's folders, and any free port: nothing of it is shared with a real workstation."""
    ports = tuple(replace(port, host=0, pinned=False) for port in resolved.runtime.ports)
    exposure = resolved.runtime.exposure
    if exposure is not None:  # with all that goes with it, but to this machine alone
        exposure = replace(exposure, address="127.0.0.1")
    runtime = replace(
        resolved.runtime, project=project, hostname=project[:60], mounts=(), ports=ports, exposure=exposure
    )
    return replace(resolved, runtime=runtime)


def _make_spec(recipe: Recipe, resolved: Resolved, keys: Keys, home: Path) -> ServiceSpec:
    ports = {port.name: 0 for port in resolved.runtime.ports}
    site = Site(workspace=str(home), secrets_dir=keys.folder, ports=ports)
    plan = replace(recipe.plan, image=recipe.image)
    spec = make_service(plan, resolved.runtime, site, recipe.static)
    spec = replace(spec, restart="no", labels={**spec.labels, LABEL_PROCESS: this_process()})
    return recipe.tweak(spec) if recipe.tweak else spec


def _take_away(engine: Engine, project: str) -> None:
    for container in engine.find_containers(project):
        engine.remove(container.id)
    engine.remove_network(project)
    for volume in engine.volumes(project):
        engine.remove_volume(volume)


def remove_stale(engine: Engine) -> tuple[str, ...]:
    """Take away the throw-aways whose process was killed; the names of their projects."""
    found = engine.find_throwaways()
    stale = {project: labels for project, labels in sorted(found.items()) if is_gone(labels[LABEL_PROCESS])}
    for project, labels in stale.items():
        _take_away(engine, project)
        _remove_folder(Path(labels.get(LABEL_WORKSPACE, "")))
    return tuple(stale)


def _remove_folder(folder: Path) -> None:
    """Only one that `boot` made: a label is easily written."""
    ours = folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(FOLDER)
    if ours and folder.is_dir() and folder.lstat().st_uid == os.getuid():
        shutil.rmtree(folder)


def read_start(commands: Commands, container: str) -> Start:
    """What the probe has written so far."""
    done = commands.run(container, ["cat", READY_FILE], timeout_s=10)
    told: dict[str, Any] = json.loads(done.stdout) if done.code == 0 else {}
    phases = {name: float(seconds) for name, seconds in sorted(told.get("phases", {}).items())}
    reason = "; ".join(f"{name}: {why}" for name, why in sorted(told.get("failed", {}).items()))
    return Start(ready=bool(told.get("ready")), phases=phases, reason=reason or "it is still starting")


def wait_started(engine: Engine, container: str) -> None:
    """Until the probe inside has come to an end, good or bad: it tells so itself, one look serves the whole wait.

    A probe that never ends, and a start that failed, are seen by the checks: `read_start` says so to whoever asks.
    """
    engine.run(container, [PROBE, "wait", "--timeout", f"{START_S:g}"], timeout_s=START_S + 5)
