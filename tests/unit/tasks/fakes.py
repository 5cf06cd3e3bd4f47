"""Small fakes of the Protocols in builder/tasks/interfaces.py: they remember what they were told and do nothing else.

What an engine does is proved against a real one in tests/engine; here only what the tasks decide is looked at.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from builder.adapters.assets import load_assets
from builder.errors import EngineError
from builder.model import (
    Assets,
    Base,
    BuildEvent,
    EngineVersion,
    Event,
    ExecResult,
    Exposure,
    ImageFile,
    Keys,
    LogLine,
    Note,
    PythonSource,
    RenderedFile,
    RenderedTree,
    ResolvedTool,
    Secret,
    ServiceSpec,
    State,
    VolumeSpec,
)
from builder.tasks.interfaces import Context, Progress, Wanted
from builder.views import ContainerView, ImageView
from tests.unit.core.builders import FACTS, FILES

READY = (
    '{"phase": "x", "seconds": 0.2}',
    '{"phase": "x", "seconds": 0.2}',
    '{"phase": "frame", "seconds": 0.9}',
    '{"ready": true}',
)
OTHER_BASE = ("debian:12-slim", "the base that stands in")
Made = TypeVar("Made", bound=Event)


def make_image(reference: str, labels: Mapping[str, str] | None = None) -> ImageView:
    return ImageView(
        id=f"sha256:{reference}", tags=(reference,), digests=(), labels=labels or {}, size=1, created="", env={},
        arch="amd64",
    )  # fmt: skip


def make_container(project: str = "my-app", *, state: str = "running", **changes: object) -> ContainerView:
    values: dict[str, object] = {
        "id": f"id-{project}", "name": f"{project}-workstation-1", "state": state, "health": "healthy", "image": "x",
        "image_id": "sha256:old", "labels": {"dev.devbox.workspace": FACTS.workspace}, "ports": {}, "created": "",
    }  # fmt: skip
    return ContainerView(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class FakeEngine:
    images: dict[str, ImageView] = field(default_factory=dict)
    pullable: tuple[str, ...] = ()
    containers: dict[str, ContainerView] = field(default_factory=dict)  # by project
    volume_names: list[str] = field(default_factory=list)
    probe: Sequence[str] = READY
    probe_error: EngineError | None = None  # how the probe ends in place of an exit
    lives_on: bool = False  # whether the container is still there when somebody waits for its end
    answers: dict[str, ExecResult] = field(default_factory=dict)  # by program
    build_events: Sequence[BuildEvent] = ()
    build_error: EngineError | None = None
    files: Sequence[ImageFile] = ()  # of every image
    acts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # run inside
    built: dict[str, RenderedTree] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)

    def version(self) -> EngineVersion:
        return EngineVersion(
            version="29.0.0", api="1.50", arch="amd64", os="linux", buildkit=True, cgroup="2", storage="overlay2",
            rootless=False, host="unix:///x",
        )  # fmt: skip

    def find_container(self, project: str) -> ContainerView | None:
        return self.containers.get(project)

    def find_workstations(self) -> tuple[ContainerView, ...]:
        return tuple(self.containers.values())

    def used_ports(self) -> Mapping[int, str]:
        return {port: item.name for item in self.containers.values() for port in item.ports.values()}

    def find_image(self, reference: str) -> ImageView | None:
        return self.images.get(reference)

    def find_image_ids(self, label: str) -> tuple[ImageView, ...]:
        return tuple(image for image in self.images.values() if label in image.labels)

    def read_files(self, image: str, wanted: Wanted) -> Iterator[ImageFile]:
        self.acts.append(f"read {image}")
        yield from self.files

    def pull(self, reference: str, on_progress: Progress) -> ImageView:
        self.acts.append(f"pull {reference}")
        if reference not in self.pullable:
            raise EngineError(f"{reference} was refused", hint="none")
        on_progress(1, 2)
        self.images[reference] = make_image(reference)
        return self.images[reference]

    def import_tar(self, path: Path, reference: str, labels: Mapping[str, str]) -> str:
        self.acts.append(f"import {reference.rpartition('-')[0]}")
        self.images[reference] = make_image(reference, labels)
        return self.images[reference].id

    def build(
        self,
        tree: RenderedTree,
        folders: Mapping[str, Path],
        tag: str,
        on_event: Callable[[BuildEvent], None],
        *,
        secrets: Mapping[str, bytes],
    ) -> str:
        self.acts.append("build")
        self.secrets = secrets
        for event in self.build_events:
            on_event(event)
        if self.build_error:
            raise self.build_error
        self.built[tag] = tree
        self.folders = folders
        self.images[tag] = make_image(tag)
        return self.images[tag].id

    def ensure_network(self, spec: ServiceSpec) -> bool:
        self.acts.append(f"network {spec.network}")
        return True

    def ensure_volume(self, spec: ServiceSpec, volume: VolumeSpec) -> bool:
        self.acts.append(f"volume {volume.name}")
        self.volume_names.append(volume.name)
        return True

    def create_container(self, spec: ServiceSpec, image_id: str) -> str:
        self.acts.append(f"create {spec.container_name}")
        ports = {port.container: port.host for port in spec.ports}
        self.containers[spec.project] = make_container(
            spec.project, state="created", image_id=image_id, labels=dict(spec.labels), ports=ports
        )
        return self.containers[spec.project].id

    def start(self, container: str) -> None:
        self._set_state(container, "running")
        self.acts.append(f"start {container}")

    def stop(self, container: str, grace_s: int) -> None:
        self._set_state(container, "exited")
        self.acts.append(f"stop {container}")

    def remove(self, container: str) -> None:
        self.acts.append(f"remove {container}")
        self.containers = {key: item for key, item in self.containers.items() if item.id != container}

    def remove_network(self, project: str) -> None:
        self.acts.append(f"remove network {project}")

    def volumes(self, project: str) -> tuple[str, ...]:
        return tuple(name for name in self.volume_names if name.startswith(f"{project}_"))

    def remove_volume(self, name: str) -> None:
        self.acts.append(f"remove volume {name}")
        self.volume_names.remove(name)

    def run(self, container: str, argv: Sequence[str], *, user: str = "", stdin: bytes = b"") -> ExecResult:
        self.commands.append(" ".join(argv))
        return self.answers.get(argv[0], ExecResult(code=1, stdout=b"", stderr=b"no such file"))

    def run_stream(self, container: str, argv: Sequence[str], *, user: str = "") -> Iterator[bytes]:
        self.acts.append(f"run {' '.join(argv)}")
        yield from (line.encode() for line in self.probe)
        if self.probe_error is not None:
            raise self.probe_error

    def wait(self, container: str, *, timeout_s: int | None = None) -> int:
        if self.lives_on:
            raise EngineError("no answer in time")
        return 1

    def attach(
        self, container: str, argv: Sequence[str], *, user: str, workdir: str, environment: Mapping[str, str]
    ) -> int:
        self.acts.append(f"attach {user} {workdir} {' '.join(argv)}")
        return 7

    def logs(self, container: str, *, follow: bool, tail: int | None) -> Iterator[bytes]:
        yield b"a line"

    def _set_state(self, container: str, state: str) -> None:
        for project, item in self.containers.items():
            if container in (item.id, item.name):
                changed = {name: getattr(item, name) for name in item.__slots__} | {"state": state}
                self.containers[project] = ContainerView(**changed)


@dataclass
class FakeSources:
    no_bootstrap: dict[str, str] = field(default_factory=dict)  # base -> why not
    no_archive: dict[str, str] = field(default_factory=dict)  # tool -> why not
    notes: tuple[str, ...] = ()
    commits: dict[str, str] = field(default_factory=dict)  # revision -> commit
    project: bytes = b"[project]"
    asked: list[str] = field(default_factory=list)

    def can_bootstrap(self, base: Base) -> str | None:
        self.asked.append(base.name)
        return self.no_bootstrap.get(base.name)

    def bootstrap(self, base: Base, arch: str, target: Path, on_line: Callable[[str], None]) -> tuple[str, ...]:
        on_line("I: retrieving")
        return self.notes

    def reach_archive(self, tool: ResolvedTool, on_progress: Progress) -> str | None:
        self.asked.append(tool.name)
        return self.no_archive.get(tool.name)

    def fetch_tree(self, tool: ResolvedTool, arch: str, on_progress: Progress) -> Path:
        return Path("/cache") / tool.name

    def find_commit(self, source: PythonSource) -> str:
        self.asked.append(f"{source.location} {source.revision}")
        return self.commits.get(source.revision or "", "c" * 40)

    def read_project(self, source: PythonSource) -> RenderedTree:
        return {"pyproject.toml": RenderedFile(data=self.project)}

    def find_wheel_digest(self, source: PythonSource) -> str:
        return "d" * 64

    def fetch_project(self, source: PythonSource, identity: str) -> Path:
        return Path("/cache") / identity

    def host_secrets(self) -> Mapping[str, bytes]:
        return {"apt.conf": b"secret"}

    def host_files(self) -> RenderedTree:
        return {"ca.crt": RenderedFile(data=b"")}

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        yield Path("/scratch")


@dataclass
class FakeWorkspace:
    state: State = field(default_factory=State)
    tree: RenderedTree = field(default_factory=dict)
    written: bytes | None = None
    locks: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return Path(FACTS.workspace)

    @contextlib.contextmanager
    def lock(self, verb: str) -> Iterator[None]:
        self.locks.append(verb)
        yield

    def load_state(self) -> State:
        return self.state

    def save_state(self, state: State) -> None:
        self.state = state

    def write_tree(self, tree: RenderedTree) -> None:
        self.tree = tree

    def write_config(self, text: bytes) -> None:
        self.written = text

    def write_file(self, name: str, text: bytes, *, force: bool) -> Path:
        raise NotImplementedError


class FakeKeys:
    def __init__(self) -> None:
        self.password = Secret("first")
        self.exposure: Exposure | None = None
        self.web_is_new = False

    def ensure(
        self, project: str, workspace: Path, authorized: Sequence[str], *, reader: tuple[int, int] | None = None
    ) -> Keys:
        return Keys(folder="/state/secrets", password=self.password, identity="/state/id", known_hosts="/state/known")

    def ensure_web(self, project: str, workspace: Path, exposure: Exposure | None, addresses: Sequence[str]) -> bool:
        self.exposure = exposure
        return self.web_is_new

    def rotate_web_password(self, project: str, workspace: Path) -> Secret:
        return Secret("second of the web")

    def rotate_password(self, project: str, workspace: Path) -> Secret:
        self.password = Secret("second")
        return self.password


@dataclass
class FakePorts:
    busy: dict[int, str] = field(default_factory=dict)

    def is_free(self, address: str, port: int) -> bool:
        return port not in self.busy

    def holder(self, port: int) -> str | None:
        return self.busy.get(port) or None


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 1.0
        return self.time


@dataclass
class World:
    """Everything around a task. Change a part, then hand `world.context()` to the task."""

    config: str | None = None
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(pullable=("ubuntu:22.04", "debian:12-slim")))
    sources: FakeSources = field(default_factory=FakeSources)
    workspace: FakeWorkspace = field(default_factory=FakeWorkspace)
    keys: FakeKeys = field(default_factory=FakeKeys)
    ports: FakePorts = field(default_factory=FakePorts)
    events: list[Event] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)
    rootfs: dict[str, RenderedFile] = field(
        default_factory=lambda: {"init/usr/lib/devbox/init": RenderedFile(data=b"#!/bin/sh\n", executable=True)}
    )

    def context(self) -> Context:
        return Context(
            facts=FACTS,
            config_text=self.config.encode() if self.config is not None else None,
            config_file="devbox.yaml",
            assets=self._assets(),
            workspace=self.workspace,
            engine=lambda: self.engine,
            sources=self.sources,
            keys=self.keys,
            ports=self.ports,
            clock=FakeClock(),
            report=self.events.append,
            addresses=lambda: ("192.0.2.7",),
            stop=lambda: self.stopped.append(True),
        )

    def _assets(self) -> Assets:
        real = load_assets()
        catalogue = {path: text for path, text in FILES.items() if "/rootfs/" not in path}
        return Assets(
            catalogue=catalogue,
            rootfs=self.rootfs,
            projects={},
            templates=real.templates,
            service=real.service,
            version="1",
        )

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note) and event.level == "warning"]

    @property
    def log(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, LogLine)]

    def told(self, kind: type[Made]) -> list[Made]:
        return [event for event in self.events if isinstance(event, kind)]


def probe_line(**message: object) -> str:
    return json.dumps(message)
