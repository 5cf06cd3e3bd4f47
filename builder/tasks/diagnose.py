"""`devbox diagnose`: all that somebody needs to look into a failure elsewhere, part by part.

Owns which parts there are and how each is got. Every part is got by itself: whatever is broken, the others are there.
Nothing is written, sent or redacted here: that is the verb's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from builder.core.labels import LABEL_WORKSPACE
from builder.errors import DevboxError, EngineError

if TYPE_CHECKING:
    from builder.model import EngineVersion, ExecResult
    from builder.tasks.doctor import HostLook
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

LOG_LINES: Final = 1000
LOOK_S: Final = 10.0
LOOK_MEMORY: Final = """
cd /sys/fs/cgroup
for one in memory.current memory.max memory.events memory/memory.usage_in_bytes memory/memory.limit_in_bytes \\
    memory/memory.oom_control; do
  test -f "$one" && head "$one" /dev/null
done
head -5 /proc/meminfo
"""
LOOK_SERVICES: Final = 'for one in /run/service/*/; do printf "%s " "$one"; s6-svstat "$one"; done'
# What is asked inside, by the name of its part.
INSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "inside/ready.json": ("cat", "/run/devbox/ready.json"),
    "inside/health.txt": ("/usr/lib/devbox/probe", "check"),
    "inside/processes.txt": ("ps", "-eo", "pid,ppid,user,stat,etime,rss,args", "--sort", "pid"),
    "inside/memory.txt": ("sh", "-c", LOOK_MEMORY),
    "inside/disk.txt": ("df", "-h"),
    "inside/services.txt": ("sh", "-c", LOOK_SERVICES),
}
LOG_FOLDER: Final = "/run/devbox/log"


class Engine(Protocol):
    """What is asked of the engine here, and nowhere else in the tasks."""

    def version(self) -> EngineVersion: ...
    def find_container(self, project: str) -> ContainerView | None: ...
    def find_workstations(self) -> tuple[ContainerView, ...]: ...
    def inspect(self, container: str) -> Mapping[str, object]: ...
    def inspect_image(self, reference: str) -> Mapping[str, object]: ...
    def image_history(self, reference: str) -> tuple[str, ...]: ...
    def describe_networks(self, project: str) -> Sequence[Mapping[str, object]]: ...
    def describe_disk(self, project: str) -> Mapping[str, object]: ...
    def logs(self, container: str, *, follow: bool, tail: int | None) -> Iterator[bytes]: ...
    def run(self, container: str, argv: Sequence[str], *, timeout_s: float | None = None) -> ExecResult: ...


class Files(Protocol):
    """What is read of this machine's disk."""

    def versions(self) -> Mapping[str, object]: ...
    def written_config(self) -> str: ...
    def rendered(self) -> Mapping[str, Callable[[], str]]: ...  # files of .workstation/
    def runs(self) -> Mapping[str, Callable[[], str]]: ...  # their events, by file
    def reports(self) -> Mapping[str, Callable[[], str]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to look at. Each look may fail, by itself and in any way."""

    folder: Path
    files: Files
    context: Callable[[], Context]
    engine: Callable[[], Engine]
    host: Callable[[], HostLook]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of the archive. `make` returns a text, or data that becomes JSON."""

    name: str
    make: Callable[[], object]


def list_parts(scene: Scene) -> Iterator[Part]:
    """Every part, the cheap and sure ones first. A part whose own list cannot be had fails under the list's name."""
    yield Part(name="versions.json", make=scene.files.versions)
    yield Part(name="config/devbox.yaml", make=scene.files.written_config)
    yield Part(name="config/explained.json", make=lambda: _explain(scene))
    for folder, listed in (
        ("workspace", scene.files.rendered), ("runs", scene.files.runs), ("reports", scene.files.reports)
    ):  # fmt: skip
        yield from _each(folder, listed)
    yield Part(name="plan.json", make=lambda: _plan(scene))
    yield Part(name="engine/version.json", make=lambda: scene.engine().version())
    yield Part(name="engine/workstations.json", make=lambda: _workstations(scene))
    yield Part(name="engine/container.json", make=lambda: scene.engine().inspect(_find(scene).id))
    yield Part(name="engine/networks.json", make=lambda: scene.engine().describe_networks(_project(scene)))
    yield Part(name="engine/image.json", make=lambda: _image(scene))
    yield Part(name="engine/image-history.txt", make=lambda: "\n".join(_history(scene)))
    yield Part(name="logs/container.txt", make=lambda: _container_log(scene))
    yield from _each("logs", lambda: _service_logs(scene))
    for name, argv in INSIDE.items():
        yield Part(name=name, make=partial(_run, scene, argv))
    yield Part(name="engine/disk.json", make=lambda: scene.engine().describe_disk(_project(scene)))
    yield Part(name="doctor.json", make=lambda: _doctor(scene))


def _each(folder: str, listed: Callable[[], Mapping[str, Callable[[], object]]]) -> Iterator[Part]:
    """A part for each file of a list; the list itself is one where it cannot be had."""
    try:
        found = listed()
    except (DevboxError, OSError):
        yield Part(name=folder, make=listed)  # asked again where a failure is told
        return
    for name, make in found.items():
        yield Part(name=f"{folder}/{name}", make=make)


def _explain(scene: Scene) -> object:
    from builder.core.explain import explain_config
    from builder.tasks.prepare import read_request

    context = scene.context()
    request = read_request(context)
    network = context.sources.describe_network(request.resolved.base.distribution)
    return {
        "settings": explain_config(request.config, request.resolved, network),
        "level": request.resolved.runtime.level,
    }


def _plan(scene: Scene) -> object:
    """As `devbox plan --assume` has it: nobody is asked for anything. What was answered before is in state.json."""
    from builder.tasks.prepare import prepare

    return prepare(scene.context(), ask=False).plan


def _doctor(scene: Scene) -> object:
    from builder.tasks.doctor import examine

    return examine(scene.context(), scene.host)


def _find(scene: Scene) -> ContainerView:
    """The workstation of this folder, by its label: devbox.yaml may be broken, or have another name by now."""
    folder = str(scene.folder.resolve())
    for view in scene.engine().find_workstations():
        if view.labels.get(LABEL_WORKSPACE) == folder:
            return view
    raise EngineError("there is no workstation of this folder", hint="`devbox up` makes one")


def _workstations(scene: Scene) -> object:
    """All of this engine, since ports and names can collide; of the others no more than these need."""
    found = scene.engine().find_workstations()
    return [{"name": one.name, "state": one.state, "health": one.health, "ports": one.ports} for one in found]


def _project(scene: Scene) -> str:
    return _find(scene).labels.get("com.docker.compose.project", "")


def _image(scene: Scene) -> object:
    return scene.engine().inspect_image(_find(scene).image_id)


def _history(scene: Scene) -> tuple[str, ...]:
    return scene.engine().image_history(_find(scene).image_id)


def _container_log(scene: Scene) -> str:
    return b"\n".join(scene.engine().logs(_find(scene).id, follow=False, tail=LOG_LINES)).decode(errors="replace")


def _service_logs(scene: Scene) -> Mapping[str, Callable[[], object]]:
    services = sorted(_run(scene, ("ls", LOG_FOLDER)).split())
    look = ("tail", "-n", str(LOG_LINES))
    return {f"{name}.txt": partial(_run, scene, (*look, f"{LOG_FOLDER}/{name}/current")) for name in services}


def _run(scene: Scene, argv: tuple[str, ...]) -> str:
    result = scene.engine().run(_find(scene).id, argv, timeout_s=LOOK_S)
    text = (result.stdout + result.stderr).decode(errors="replace")
    return text if result.code == 0 else f"{text}\n(it ended with {result.code})\n"
