"""Small fakes of the Protocols in builder/tasks/interfaces.py: they remember what they were told and do nothing else.

What an engine does is proved against a real one in tests/engine; here only what the tasks decide is looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from builder.adapters.assets import load_assets
from builder.adapters.history import dump_history, load_history
from builder.core.backups import Access, Helper, Repository
from builder.core.chains import count_common
from builder.core.generations import History
from builder.core.kept import KeptFile
from builder.core.layers import SavedImage
from builder.core.lock import Lock
from builder.core.lock_file import parse_lock
from builder.core.recorded import Recorded, read_recorded
from builder.errors import BuildError, ConfigError, EngineError, HostError, NotReadyError
from builder.model import (
    Assets,
    Base,
    BuildEvent,
    Dotfiles,
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
from builder.tasks.headstart import IN_IT
from builder.tasks.interfaces import Context, Progress, Wanted
from builder.tasks.packages import QUESTION
from builder.views import ContainerView, ImageView, PartView, Stats
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


def answer_pip(question: str) -> Iterator[ImageFile]:
    """Each project needs one package."""
    for stage in re.findall(r"AS (python-\S+)\n", question):
        yield ImageFile(path=f"{stage}/run", data=b"0" * 64 + b"  tabulate-0.9.0-py3-none-any.whl\n")
        yield ImageFile(path=f"{stage}/build", data=b"1" * 64 + b"  hatchling-1.0-py3-none-any.whl\n")


def answer_npm(question: str, newest: str) -> Iterator[ImageFile]:
    """Of each package itself alone; its integrity says its version."""
    asked = re.findall(r"AS (npm\S+)\n(?:.*\n)*?.*npm-ask (--newest )?'?([^' ]+)'? /answer", question)
    for stage, only_newest, package in asked:
        if only_newest:
            yield ImageFile(path=f"{stage}/newest", data=newest.encode())
            continue
        name, _, version = package.rpartition("@")
        entry = {"version": version, "integrity": f"sha512-{version}".replace(".", "")}
        lock = json.dumps({"packages": {"": {}, f"node_modules/{name}": entry}})
        yield ImageFile(path=f"{stage}/package-lock.json", data=lock.encode())


@dataclass
class FakeHead:
    """A build of one stage, sent before all is known."""

    awaited: bool = False  # npm's answer takes as long as that
    events: Sequence[BuildEvent] = ()
    error: Exception | None = None
    began: threading.Event = field(default_factory=threading.Event)
    told: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    trees: list[tuple[str, RenderedTree]] = field(default_factory=list)  # by stage

    def __post_init__(self) -> None:
        self.may_end.set()

    def build(
        self, tree: RenderedTree, stage: str, on_event: Callable[[BuildEvent], None], shared: Sequence[BuildEvent]
    ) -> str:
        """`shared` is what the build itself says of the same instructions."""
        self.trees.append((stage, tree))
        self.began.set()
        for event in (*self.events, *shared):
            on_event(event)
        self.told.set()
        assert self.may_end.wait(10)
        if self.error:
            raise self.error
        return "sha256:head"


@dataclass
class FakeMirror:
    """What apt would install, as images/rootfs/init/usr/lib/devbox/apt-ask tells it."""

    newest: dict[str, str] = field(default_factory=dict)  # package -> version; 1.0 where nothing is said
    gone: set[str] = field(default_factory=set)  # name=version
    error: BuildError | None = None
    questions: list[RenderedTree] = field(default_factory=list)

    def install(self, tree: RenderedTree, on_event: Callable[[BuildEvent], None]) -> None:
        """What stands below a question, as apt-install tells it."""
        lines = [tree[path].data.decode().splitlines() for path in sorted(tree) if path.startswith("locked/apt")]
        named = [line.split() for lines_of in lines for line in lines_of]
        gone = sorted({(name, version) for name, _, version, _ in named if f"{name}={version}" in self.gone})
        for name, version in gone:
            nearest = self.newest.get(name, "none")
            told = f"devbox: no mirror has {name} {version} any more, the nearest is {nearest}"
            on_event(BuildEvent(vertex="RUN apt-install", log=told))
        if gone:
            raise BuildError("exit code 100")

    def answer(self) -> Iterator[ImageFile]:
        tree = self.questions[-1]
        pins = dict(re.findall(rb"Package: (.*)\nPin: version (.*)\n", tree["question/keep"].data))
        below = [tree[path].data.decode().splitlines() for path in sorted(tree) if path.startswith("locked/")]
        there = {line.split()[0]: line.split()[2] for lines in below for line in lines} or {"base-files": "12"}
        yield self._file("installed", (f"{name} amd64 {version}" for name, version in there.items()))
        wanted: list[str] = []
        known: list[str] = []
        for number, line in enumerate(tree["question/steps"].data.decode().splitlines(), start=1):
            wanted += line.split()
            news: list[str] = []
            for name in dict.fromkeys(("base-files", *wanted)):
                version = pins.get(name.encode(), b"").decode()
                if not version or f"{name}={version}" in self.gone:
                    version = self.newest.get(name, there.get(name, "1.0"))
                known.append(_stanza(name, version))
                if there.get(name) != version:
                    news.append(f"+ {name} {version}")
            yield self._file(f"step-{number}", news)
        yield self._file("known", known)
        yield self._file("native", ["amd64"])

    def _file(self, name: str, lines: Iterable[str]) -> ImageFile:
        return ImageFile(path=name, data="".join(f"{line}\n" for line in lines).encode())


def _stanza(name: str, version: str) -> str:
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    path = f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    return f"Package: {name}\nArchitecture: amd64\nVersion: {version}\nFilename: {path}\nSHA256: {sha256}\n"


@dataclass
class FakeEngine:
    there: str = ""  # another machine
    images: dict[str, ImageView] = field(default_factory=dict)
    pullable: tuple[str, ...] = ()
    registry: dict[str, ImageView] = field(default_factory=dict)  # what can be pulled besides, as it is
    shared: dict[str, ImageView | EngineError] = field(default_factory=dict)  # what a registry has, or how it fails
    containers: dict[str, ContainerView] = field(default_factory=dict)  # by project
    coming: dict[str, ContainerView] = field(default_factory=dict)  # made to replace that of the project
    beside: dict[str, ContainerView] = field(default_factory=dict)  # sidecars, by name
    volume_names: list[str] = field(default_factory=list)
    probe: Sequence[str] = READY
    probe_error: EngineError | None = None  # how the probe ends in place of an exit
    lives_on: bool = False  # whether the container is still there when somebody waits for its end
    next_probe: Callable[[], Sequence[str]] | None = None  # in place of `probe`, where it changes
    start_errors: dict[str, EngineError] = field(default_factory=dict)  # by container
    on_start: dict[str, Callable[[], None]] = field(default_factory=dict)  # by container, once
    answers: dict[str, ExecResult] = field(default_factory=dict)  # by program
    build_events: Sequence[BuildEvent] = ()
    build_error: EngineError | None = None
    files: Sequence[ImageFile] = ()  # of every image
    files_of: Callable[[str], Sequence[ImageFile]] | None = None  # in place of these
    fresh: list[str] = field(default_factory=list)  # what was built without the builder's cache
    lost_layer: EngineError | None = None  # how a load without all layers fails
    loadable: dict[str, ImageView] = field(default_factory=dict)  # what comes with any file
    saved: dict[str, SavedImage] = field(default_factory=dict)  # by image id
    foreign: EngineError | None = None  # what somebody else's thing of our name is told as
    parts: Sequence[PartView] = ()  # networks and volumes, of whatever folder
    strangers: Sequence[ContainerView] = ()  # that devbox did not make
    acts: list[str] = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)  # secrets: project, folder
    commands: list[str] = field(default_factory=list)  # run inside
    frames: list[Sequence[tuple[str, bytes]]] = field(default_factory=list)  # what each of the next commands writes
    helper_answers: list[Sequence[Mapping[str, Any]]] = field(default_factory=list)  # one item for each question
    asked: list[tuple[Helper, Mapping[str, object]]] = field(default_factory=list)
    swept: int = 0
    built: dict[str, RenderedTree] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    imported: dict[str, tuple[Path, str]] = field(default_factory=dict)  # image -> folder, below which prefix
    mirror: FakeMirror = field(default_factory=lambda: FakeMirror())
    closure_questions: dict[str, RenderedTree] = field(default_factory=dict)  # to npm and pip, by tag
    closure_error: EngineError | None = None
    npm_is_slow: bool = False  # it answers to nobody until it is cancelled
    npm_began: threading.Event = field(default_factory=threading.Event)
    head: FakeHead = field(default_factory=lambda: FakeHead())
    cancelled: threading.Event = field(default_factory=threading.Event)
    answered: list[str] = field(default_factory=list)  # images of questions, once they were read
    newest_of_npm: str = ""
    fetched: Sequence[ImageFile] = ()  # by a build of `devbox fetch`
    kept_tree: RenderedTree = field(default_factory=dict)  # of the last build that fetched or laid out
    kept_events: Sequence[BuildEvent] = ()  # what it says, and fails

    def version(self) -> EngineVersion:
        return EngineVersion(
            version="29.0.0", api="1.50", arch="amd64", os="linux", buildkit=True, cgroup="2", storage="overlay2",
            rootless=False, host="unix:///x",
        )  # fmt: skip

    def find_container(self, project: str) -> ContainerView | None:
        return self.containers.get(project) or self.coming.get(project)

    def find_containers(self, project: str) -> tuple[ContainerView, ...]:
        found = (self.containers.get(project), self.coming.get(project), *self.beside.values())
        return tuple(item for item in found if item is not None)

    def find_workstations(self) -> tuple[ContainerView, ...]:
        return tuple(self.containers.values())

    def find_services(self) -> tuple[ContainerView, ...]:
        return (*self.containers.values(), *self.beside.values())

    def used_images(self, *, but: Collection[str] = ()) -> frozenset[str]:
        found = (*self.containers.values(), *self.strangers)
        return frozenset(item.image_id for item in found if item.id not in but)

    def stats(self, container: str) -> Stats:
        return Stats(memory=100_000_000, memory_limit=4_000_000_000, cpu=0.5)

    def measure_disks(self) -> Mapping[str, int]:
        return {"app": 12_345_678}

    def used_ports(self) -> Mapping[int, str]:
        return {port: item.name for item in self.containers.values() for port in item.ports.values()}

    def find_image(self, reference: str) -> ImageView | None:
        return self.images.get(reference)

    def find_image_ids(self, label: str) -> tuple[ImageView, ...]:
        return tuple(image for image in self.images.values() if label in image.labels)

    def read_files(self, image: str, wanted: Wanted) -> Iterator[ImageFile]:
        if image.endswith(("-npm", "-pip")):
            question = self.closure_questions[image]["Dockerfile"].data.decode()
            yield from answer_npm(question, self.newest_of_npm) if image.endswith("-npm") else answer_pip(question)
            return
        if image.endswith("-fetch"):
            yield from self.fetched
            return
        if image.startswith(QUESTION):
            yield from self.mirror.answer()
            return
        self.acts.append(f"read {image}")
        yield from self.files_of(image) if self.files_of else self.files

    def read_image(self, image: str, wanted: Callable[[str], object]) -> SavedImage:
        return self.saved[image]

    def save_image(self, image: str) -> Iterator[bytes]:
        yield from (b"tar of ", image.encode())

    def load_image(self, chunks: Iterator[bytes]) -> None:
        self.acts.append(f"load {b''.join(chunks).decode()}")
        self.images.update(self.loadable)

    def measure_layers(self, reference: str) -> tuple[int, ...]:
        return tuple(1_000_000 for _ in self.images[reference].layers)

    def count_shared(self, layers: Sequence[str]) -> int:
        return max((count_common(layers, image.layers) for image in self.images.values()), default=0)

    def load_layers(
        self, chunks: Iterator[bytes], layers: Sequence[str], left_out: Collection[int], on_bytes: Callable[[int], None]
    ) -> int:
        if left_out and self.lost_layer:
            raise self.lost_layer
        self.load_image(chunks)
        self.acts.append(f"without {sorted(left_out)}")
        on_bytes(1)
        return 1

    def pull(self, reference: str, on_progress: Progress) -> ImageView:
        self.acts.append(f"pull {reference}")
        if reference in self.registry:
            self.images[reference] = self.registry[reference]
            return self.images[reference]
        if reference not in self.pullable:
            raise EngineError(f"{reference} was refused", hint="none")
        on_progress(1, 2)
        self.images[reference] = make_image(reference)
        return self.images[reference]

    def fetch_shared(self, reference: str, on_progress: Progress) -> ImageView | None:
        self.acts.append(f"ask for {reference}")
        found = self.shared.get(reference)
        if isinstance(found, EngineError):
            raise found
        if found is not None:
            on_progress(1, 2)
            self.images[reference] = self.images[found.id] = found
        return found

    def push(self, reference: str, on_progress: Progress) -> str:
        on_progress(1, 2)
        self.shared[reference] = self.images[reference]
        return "sha256:digest"

    def import_tar(self, path: Path, reference: str, labels: Mapping[str, str]) -> str:
        self.acts.append(f"import {reference.rpartition('-')[0]}")
        self.images[reference] = make_image(reference, labels)
        return self.images[reference].id

    def import_folder(self, folder: Path, prefix: str, reference: str, labels: Mapping[str, str]) -> str:
        self.imported[reference] = (folder, prefix)
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
        fresh: bool = False,
        target: str | None = None,
    ) -> str:
        if target is not None:
            events = [event for event in self.build_events if IN_IT.match(event.vertex)]
            return self.head.build(tree, target, on_event, events)
        if tag.endswith(("-npm", "-pip")):
            return self._build_closures(tree, tag, on_event)
        if tag.endswith(("-fetch", "-kept")):
            return self._build_kept(tree, tag, on_event)
        if tag.startswith(QUESTION):
            return self._build_question(tree, tag, on_event)
        self.acts.append("build")
        self.fresh += [tag] if fresh else []
        self.secrets = secrets
        for event in self.build_events:
            on_event(event)
        if self.build_error:
            raise self.build_error
        self.built[tag] = tree
        self.folders = folders
        labels = re.findall(rb'(dev\.devbox\.(?:plan|sidecar))="?([0-9a-z]+)', tree["Dockerfile"].data)
        self.images[tag] = self.images[f"sha256:{tag}"] = make_image(
            tag, {name.decode(): value.decode() for name, value in labels}
        )
        return self.images[tag].id

    def _build_closures(self, tree: RenderedTree, tag: str, on_event: Callable[[BuildEvent], None]) -> str:
        if tag.endswith("-npm") and self.head.awaited:
            assert self.head.began.wait(10)
        self.closure_questions[tag] = tree
        if self.closure_error:
            raise self.closure_error
        if tag.endswith("-npm") and self.npm_is_slow:
            self.npm_began.set()
            self.cancelled.wait(10)
            raise BuildError("cancelled")
        if tag.endswith("-pip"):
            self.mirror.install(tree, on_event)
        return tag

    def _build_question(self, tree: RenderedTree, tag: str, on_event: Callable[[BuildEvent], None]) -> str:
        self.mirror.questions.append(tree)
        if self.npm_is_slow:
            self.npm_began.wait(10)
        if self.mirror.error:
            raise self.mirror.error
        self.mirror.install(tree, on_event)
        return tag

    def _build_kept(self, tree: RenderedTree, tag: str, on_event: Callable[[BuildEvent], None]) -> str:
        self.acts.append(f"build {tag.rpartition('-')[2]}")
        self.kept_tree = tree
        for event in self.kept_events:
            on_event(event)
        if self.kept_events:
            raise BuildError("exit code 100")
        return tag

    def forward(self, container: str, inside: int, here: int) -> tuple[str, int]:
        return "127.0.0.1", here

    def give_secrets(self, project: str, folder: str) -> None:
        self.given.append((project, folder))

    def cancel_builds(self) -> None:
        self.cancelled.set()
        self.head.may_end.set()

    def ensure_network(self, spec: ServiceSpec) -> bool:
        self.acts.append(f"network {spec.network}")
        return True

    def ensure_volume(self, spec: ServiceSpec, volume: VolumeSpec) -> bool:
        self.acts.append(f"volume {volume.name}")
        if volume.name in self.volume_names:
            return False
        self.volume_names.append(volume.name)
        return True

    def create_container(self, spec: ServiceSpec, image_id: str, *, name: str | None = None) -> str:
        self.acts.append(f"create {name or spec.container_name}")
        ports = {port.container: port.host for port in spec.ports}
        if spec.service != "workstation":
            of_image = self.images[spec.image].labels
            named = {**of_image, **spec.labels, "com.docker.compose.service": spec.service}
            view = make_container(spec.project, id=f"id-{spec.service}", name=spec.container_name, image=spec.image)
            self.beside[spec.service] = replace(view, state="created", labels=named, ports=ports)
            return f"id-{spec.service}"
        made = make_container(
            spec.project, state="created", image_id=image_id, labels=dict(spec.labels), ports=ports
        )  # fmt: skip
        if name is None:
            self.containers[spec.project] = made
        else:
            there = any(item.id == f"id-{name}" for item in self.containers.values())
            made = replace(made, id=f"id-{name}-2" if there else f"id-{name}", name=name)
            self.coming[spec.project] = made
        return made.id

    def rename(self, container: str, name: str) -> None:
        self.acts.append(f"rename {container} {name}")
        (project,) = [key for key, item in self.coming.items() if item.id == container]
        self.containers[project] = replace(self.coming.pop(project), name=name)

    def start(self, container: str) -> None:
        self.acts.append(f"start {container}")
        self.on_start.pop(container, lambda: None)()
        if container in self.start_errors:
            raise self.start_errors[container]
        self._set_state(container, "running")

    def stop(self, container: str, grace_s: int) -> None:
        self._set_state(container, "exited")
        self.acts.append(f"stop {container}")

    def remove(self, container: str, *, unnamed: bool = False) -> None:
        self.acts.append(f"remove {container}{', unnamed too' if unnamed else ''}")
        self.containers = {key: item for key, item in self.containers.items() if item.id != container}
        self.coming = {key: item for key, item in self.coming.items() if item.id != container}
        self.beside = {key: item for key, item in self.beside.items() if item.id != container}

    def tag(self, image: str, reference: str) -> None:
        self.acts.append(f"tag {image} {reference}")
        self.images[reference] = self.images[image]

    def remove_image(self, reference: str) -> int:
        if reference.startswith(QUESTION):
            self.answered.append(reference)
            return 0
        self.acts.append(f"remove image {reference}")
        return self.images.pop(reference).size if reference in self.images else 0

    def refuse_foreign(self, spec: ServiceSpec) -> None:
        if self.foreign is not None:
            raise self.foreign

    def find_parts(self, project: str) -> tuple[PartView, ...]:
        return tuple(part for part in self.parts if part.name.startswith(f"{project}_"))

    def all_parts(self) -> tuple[PartView, ...]:
        return tuple(self.parts)

    def remove_network(self, project: str) -> None:
        self.acts.append(f"remove network {project}")

    def volumes(self, project: str) -> tuple[str, ...]:
        return tuple(name for name in self.volume_names if name.startswith(f"{project}_"))

    def remove_volume(self, name: str) -> None:
        self.acts.append(f"remove volume {name}")
        self.volume_names.remove(name)
        self.parts = tuple(part for part in self.parts if part.name != name)

    def make_volume(self, name: str, *, project: str, workspace: str, key: str) -> None:
        self.acts.append(f"make volume {name}")
        if name in self.volume_names:
            raise EngineError(f"there is a volume {name} already")
        self.volume_names.append(name)
        self.parts = (*self.parts, PartView(kind="volume", name=name, workspace=workspace))

    def machine(self) -> str:
        return self.there

    def ask_helper(self, helper: Helper, request: Mapping[str, object]) -> Generator[Mapping[str, Any], None, None]:
        self.asked.append((helper, request))
        yield from self.helper_answers.pop(0)

    def remove_stale_helpers(self) -> None:
        self.swept += 1

    def run(
        self, container: str, argv: Sequence[str], *, user: str = "", stdin: bytes = b"", timeout_s: float | None = None
    ) -> ExecResult:
        self.commands.append(" ".join(argv))
        if any(item.id == container and item.state != "running" for item in self.beside.values()):
            raise EngineError(f"{container} is not running")
        return self.answers.get(argv[0], ExecResult(code=1, stdout=b"", stderr=b"no such file"))

    def run_stream(self, container: str, argv: Sequence[str], *, user: str = "") -> Iterator[bytes]:
        self.acts.append(f"run {' '.join(argv)}")
        lines = self.next_probe() if self.next_probe else self.probe
        yield from (line.encode() for line in lines)
        if self.probe_error is not None:
            raise self.probe_error

    def run_frames(
        self, container: str, argv: Sequence[str], *, user: str = "", workdir: str | None = None
    ) -> Iterator[tuple[str, bytes]]:
        self.commands.append(f"{user} {workdir} {' '.join(argv[3:])}")
        yield from self.frames.pop(0)

    def pour(
        self,
        container: str,
        argv: Sequence[str],
        chunks: Iterable[bytes],
        *,
        user: str = "",
        workdir: str | None = None,
    ) -> ExecResult:
        self.commands.append(f"{user} {workdir} {' '.join(argv)} < {b''.join(chunks).decode()}")
        return self.answers.get(argv[0], ExecResult(code=0, stdout=b"", stderr=b""))

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
        for place in (self.containers, self.coming, self.beside):
            for project, item in place.items():
                if container in (item.id, item.name):
                    place[project] = replace(item, state=state)


@dataclass
class FakeSources:
    no_bootstrap: dict[str, str] = field(default_factory=dict)  # base -> why not
    no_archive: dict[str, str] = field(default_factory=dict)  # tool -> why not
    unfetched: tuple[str, ...] = ()  # tools and repositories that are not in the cache
    notes: tuple[str, ...] = ()
    commits: dict[str, str] = field(default_factory=dict)  # revision -> commit
    project: bytes = b"[project]"
    bundle: bytes = b""
    dotfiles: bytes | HostError = b"tar"
    project_files: RenderedTree = field(default_factory=dict)  # beside its pyproject.toml
    asked: list[str] = field(default_factory=list)
    before_alone: Callable[[], None] | None = None  # what another one does, for whom we wait

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

    def is_fetched(self, tool: ResolvedTool, arch: str) -> bool:
        return tool.name not in self.unfetched

    def find_commit(self, source: PythonSource) -> str:
        self.asked.append(f"{source.location} {source.revision}")
        return self.commits.get(source.revision or "", "c" * 40)

    def read_project(self, source: PythonSource) -> RenderedTree:
        return {"pyproject.toml": RenderedFile(data=self.project), **self.project_files}

    def find_wheel_digest(self, source: PythonSource) -> str:
        return "d" * 64

    def fetch_project(self, source: PythonSource, identity: str) -> Path:
        return Path("/cache") / identity

    def is_project_fetched(self, source: PythonSource, identity: str) -> bool:
        return source.location not in self.unfetched

    def offline_secrets(self, plan: str) -> Mapping[str, bytes]:
        return {"apt.conf": plan.encode()}

    def host_secrets(self, base: Base, tell: Callable[[str], None]) -> Mapping[str, bytes]:
        return {"apt.conf": b"secret"}

    def describe_network(self, distribution: str) -> Mapping[str, tuple[str, str]]:
        return {}

    def ca_bundle(self) -> bytes:
        return self.bundle

    def pack_dotfiles(self, wanted: Dotfiles) -> bytes:
        self.asked.append(wanted.source)
        if isinstance(self.dotfiles, HostError):
            raise self.dotfiles
        return self.dotfiles

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        yield Path("/scratch")

    @contextlib.contextmanager
    def alone(self, what: str, on_wait: Callable[[str], None]) -> Iterator[None]:
        if self.before_alone is not None:
            on_wait("process 7 of me")
            self.before_alone()
        yield


@dataclass
class FakeWorkspace:
    state: State = field(default_factory=State)
    lock_file: bytes | None = None
    tree: RenderedTree = field(default_factory=dict)
    written: bytes | None = None
    locks: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)  # that were written down before they were done
    gone: tuple[str, ...] = ()  # folders that are not there
    killed: bool = False  # whether the one before was
    folder: str = FACTS.workspace
    checked: set[str] = field(default_factory=set)  # that nothing is in the way of

    @property
    def root(self) -> Path:
        return Path(self.folder)

    @contextlib.contextmanager
    def lock(self, verb: str) -> Iterator[bool]:
        self.locks.append(verb)
        yield self.killed

    def intend(self, act: str) -> None:
        self.acts.append(act)

    def exists(self, folder: str) -> bool:
        return folder not in self.gone

    def read_file(self, name: str) -> bytes | None:
        raise NotImplementedError

    def find_unfinished(self) -> str:
        return "the last one was killed" if self.killed else ""

    def load_state(self) -> State:
        return self.state

    def save_state(self, state: State) -> None:
        self.state = state

    def check_names(self, names: Iterable[str]) -> None:
        self.checked = {*names}
        assert {"Dockerfile", "compose.yaml"} <= self.checked

    def write_tree(self, tree: RenderedTree) -> None:
        self.tree = tree

    def drop(self, name: str) -> None:
        self.tree = {path: file for path, file in self.tree.items() if path != name}

    def write_config(self, text: bytes) -> None:
        self.written = text

    def write_schema(self, text: bytes) -> str:
        raise NotImplementedError

    def load_lock(self) -> bytes | None:
        return self.lock_file

    def save_lock(self, data: bytes) -> None:
        self.lock_file = data

    def write_file(self, name: str, text: bytes, *, force: bool) -> Path:
        raise NotImplementedError


@dataclass
class FakeMemo:
    kept: dict[str, bytes] = field(default_factory=dict)
    age: float = 0.0  # of all of it
    error: HostError | None = None

    def load(self, key: str) -> tuple[bytes, float] | None:
        if self.error:
            raise self.error
        return (self.kept[key], self.age) if key in self.kept else None

    def save(self, key: str, data: bytes) -> None:
        if self.error:
            raise self.error
        self.kept[key] = data


@dataclass
class FakeKept:
    """Packages and bases that a machine keeps."""

    files: dict[str, bytes] = field(default_factory=dict)  # "apt/<file>" -> its bytes
    missing: tuple[str, ...] = ()  # "htop 3.2.2-2"
    bases: dict[str, str] = field(default_factory=dict)  # identity -> id of the image

    def find_missing(self, files: Sequence[KeptFile]) -> tuple[KeptFile, ...]:
        return tuple(file for file in files if file.name in self.missing)

    def take(self, kind: str, name: str, data: bytes) -> None:
        self.files[f"{kind}/{name}"] = data
        self.missing = ()

    @contextlib.contextmanager
    def gathered(self, files: Sequence[KeptFile]) -> Iterator[Path]:
        yield Path("/kept")

    def find_base(self, identity: str) -> str | None:
        return self.bases.get(identity)

    def save_base(self, identity: str, image: str, chunks: Iterator[bytes], on_progress: Progress) -> int:
        self.bases[identity] = image
        return sum(map(len, chunks))

    def read_base(self, identity: str, on_progress: Progress) -> Iterator[bytes]:
        yield self.bases[identity].encode()


@dataclass
class FakeHistories:
    kept: dict[str, History] = field(default_factory=dict)

    def load(self, project: str) -> History:
        return self.kept.get(project, History())

    def save(self, project: str, history: History) -> None:
        self.kept[project] = load_history(dump_history(history), where="history.json")  # what is written can be read

    def recall(self, project: str) -> Recorded | None:
        return read_recorded(json.loads(dump_history(self.load(project)))["history"])

    def note_made(self, project: str, made: str) -> None:
        history = self.load(project)
        assert history.current is not None
        self.save(project, replace(history, current=replace(history.current, made=made)))

    def remove(self, project: str) -> None:
        self.kept.pop(project, None)


class FakeHanded:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.files: dict[str, dict[str, str] | ConfigError | HostError] = {}
        self.forgotten: list[str] = []

    def ensure_environment(self, project: str, workspace: Path, values: Mapping[str, str]) -> str:
        self.values = dict(values)
        return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:8] if values else ""

    def environment(self, project: str, workspace: Path) -> Mapping[str, Secret]:
        return {name: Secret(value) for name, value in self.values.items()}

    def read_file(self, path: str) -> Mapping[str, str] | None:
        found = self.files.get(path)
        if isinstance(found, ConfigError | HostError):
            raise found
        return found

    def sidecar_folder(self, project: str, workspace: Path, name: str) -> str:
        return f"/state/sidecars/{name}"

    def ensure_sidecar(self, project: str, workspace: Path, name: str) -> Secret:
        return Secret(f"password-of-{name}")

    def forget(self, project: str, workspace: Path) -> None:
        self.forgotten.append(project)


class FakeKeys:
    def __init__(self) -> None:
        self.password = Secret("first")
        self.exposure: Exposure | None = None
        self.web_is_new = False
        self.forgotten: list[str] = []
        self.acts: list[str] = []
        self.places: dict[str, str] = {}  # where each workspace is -> its token
        self.links: dict[str, str] = {}  # where one was -> where it is

    def ensure(
        self, project: str, workspace: Path, authorized: Sequence[str], *, reader: tuple[int, int] | None = None
    ) -> Keys:
        return Keys(folder="/state/secrets", password=self.password, identity="/state/id", known_hosts="/state/known")

    def ensure_web(self, project: str, workspace: Path, exposure: Exposure | None, addresses: Sequence[str]) -> bool:
        self.exposure = exposure
        return self.web_is_new

    def move(self, project: str, before: str, now: Path) -> None:
        self.acts.append(f"move {before}")
        self.places[str(now)] = self.places.pop(before)
        self.links = {**{path: str(now) for path, to in self.links.items() if to == before}, before: str(now)}
        self.links.pop(str(now), None)

    def new_token(self) -> str:
        return uuid.uuid4().hex

    def remember(self, project: str, workspace: Path, token: str) -> None:
        self.places[str(workspace)] = token

    def owner(self, project: str, workspace: str) -> str:
        return self.links.get(workspace, workspace)

    def find_moved(self, project: str, now: Path, token: str) -> tuple[str, ...]:
        return () if str(now) in self.places else tuple(path for path, its in self.places.items() if its == token)

    def rotate_web_password(self, project: str, workspace: Path) -> Secret:
        return Secret("second of the web")

    def forget(self, project: str, workspace: Path) -> None:
        self.forgotten.append(project)

    def secrets(self, project: str, workspace: Path) -> str:
        return f"/state/{project}/secrets"

    def rotate_password(self, project: str, workspace: Path) -> Secret:
        self.password = Secret("second")
        return self.password


@dataclass
class FakeBackups:
    """What a machine keeps of backups; `known` is the password on file."""

    known: Secret | None = None
    names: dict[str, str] = field(default_factory=dict)
    moments: int = 0

    def password(self, project: str, workspace: Path) -> Secret | None:
        return self.known

    def new_password(self) -> Secret:
        return Secret("made now")

    def keep_password(self, project: str, workspace: Path, password: Secret) -> str:
        before, self.known = self.known, password
        return "/state/backup-password.before" if before not in (None, password) else ""

    def volumes(self, project: str, workspace: Path) -> Mapping[str, str]:
        return self.names

    def use_volumes(self, project: str, workspace: Path, names: Mapping[str, str]) -> None:
        self.names = dict(names)

    def stamp(self) -> str:
        self.moments += 1
        return f"2026-{self.moments}"

    def access(self, repository: Repository, identity: str | None) -> Access:
        return Access(environment={"KEY": "secret"}, files={"identity": b"key"}, options=("-o", "x"))

    def owner(self, repository: Repository, *, make: bool) -> tuple[int, int]:
        return 1000, 1000

    def cache(self) -> str:
        return "/cache-of-the-host"

    def program(self) -> RenderedTree:
        return {"inside.py": RenderedFile(data=b"")}

    def looker(self) -> str:
        return "look"


@dataclass
class FakePorts:
    busy: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)  # that lead to another program

    def is_free(self, address: str, port: int) -> bool:
        return port not in self.busy

    def leads_there(self, address: str, port: int) -> bool:
        return port not in self.lost

    def holder(self, port: int) -> str | None:
        return self.busy.get(port) or None


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 1.0
        return self.time

    def wait_for(
        self,
        what: str,
        probe: Callable[[], bool | None],
        *,
        deadline_s: float,
        interval_s: float,
        why: Callable[[], str] | None = None,
    ) -> bool:
        """Two looks, no pause."""
        if probe() or probe():
            return True
        raise NotReadyError(f"waited for {what}", detail=why() if why else None)


@dataclass
class World:
    """Everything around a task. Change a part, then hand `world.context()` to the task."""

    config: str | None = None
    builder: FakeEngine | None = None  # of this machine, where the engine is another's
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(pullable=("ubuntu:22.04", "debian:12-slim")))
    sources: FakeSources = field(default_factory=FakeSources)
    workspace: FakeWorkspace = field(default_factory=FakeWorkspace)
    memo: FakeMemo = field(default_factory=FakeMemo)
    kept: FakeKept = field(default_factory=FakeKept)
    keys: FakeKeys = field(default_factory=FakeKeys)
    handed: FakeHanded = field(default_factory=FakeHanded)
    clock: FakeClock = field(default_factory=lambda: FakeClock())
    histories: FakeHistories = field(default_factory=FakeHistories)
    backups: FakeBackups = field(default_factory=FakeBackups)
    ports: FakePorts = field(default_factory=FakePorts)
    events: list[Event] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)
    catalogue: dict[str, str] = field(default_factory=dict)  # over that of the core's tests
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
            memo=self.memo,
            kept=self.kept,
            keys=self.keys,
            handed=self.handed,
            histories=self.histories,
            backups=self.backups,
            ports=self.ports,
            clock=self.clock,
            report=self.events.append,
            addresses=lambda: ("192.0.2.7",),
            stop=lambda: self.stopped.append(True),
            builder=(lambda: self.builder) if self.builder else None,  # type: ignore[arg-type,return-value]
        )

    def _assets(self) -> Assets:
        real = load_assets()
        catalogue = {path: text for path, text in FILES.items() if "/rootfs/" not in path}
        return Assets(
            catalogue={**catalogue, **self.catalogue},
            rootfs=self.rootfs,
            projects={},
            templates=real.templates,
            service=real.service,
            version="1",
        )

    @property
    def lock(self) -> Lock:
        """What the file of the workspace says."""
        assert self.workspace.lock_file is not None
        return parse_lock(self.workspace.lock_file)

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
