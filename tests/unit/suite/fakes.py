"""A subject without an engine: commands answer what the test says, doors behave as it wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from builder.adapters.engine.client import Engine
from builder.adapters.errands import Errands
from builder.model import Base, Check, ExecResult, Keys, Resolved, ResolvedTool, Runtime, Secret
from builder.model import PortRequest as Port
from builder.suite.cases import Case
from builder.suite.results import Result
from builder.suite.runner import run_case
from builder.suite.subject import Subject
from builder.views import ContainerView, ImageView

PASSWORD = "s3cretPW"
Answer = tuple[int, str]

RUNTIME = Runtime(
    project="app", hostname="app", user="dev", uid=1000, gid=1000,
    environment={"TZ": "Europe/Berlin", "LANG": "C.UTF-8", "ZSH_THEME": "jonathan"},
    ports=(
        Port(name="vnc", container=5901, host=5901, pinned=False),
        Port(name="web", container=6080, host=6080, pinned=False),
        Port(name="ssh", container=2222, host=2222, pinned=False),
        Port(name="dev", container=3000, host=3000, pinned=False),
    ),
    bind="127.0.0.1", mounts=(), memory=None, cpus=None, shm=1 << 29, pids=2048,
)  # fmt: skip

TOOLS = (
    ResolvedTool(
        name="git", summary="Git", version=None, from_profile=True, apt=("git",),
        checks=(Check(run=("git", "--version"), version=">=2.25"),),
    ),
    ResolvedTool(
        name="node", summary="Node", version="18.18.2", from_profile=True,
        checks=(Check(run=("node", "--version")), Check(run=("npm", "--version"))),
    ),
    ResolvedTool(name="desktop", summary="XFCE", version=None, from_profile=True, checks=(Check(service="xfwm4"),)),
    ResolvedTool(name="tigervnc", summary="VNC", version=None, from_profile=True, ports={"vnc": 5901}),
    ResolvedTool(name="novnc", summary="web", version=None, from_profile=True, ports={"web": 6080}),
    ResolvedTool(name="sshd", summary="SSH", version=None, from_profile=True, ports={"ssh": 2222}),
    ResolvedTool(name="zsh", summary="zsh", version=None, from_profile=True),
    ResolvedTool(name="sudo", summary="sudo", version=None, from_profile=True),
)  # fmt: skip

RESOLVED = Resolved(
    profile="workstation",
    base=Base(
        name="debian-12", distribution="debian", codename="bookworm", image="debian:12", components=("main",),
        keyring="k.gpg", python="3.11", substitute=None,
    ),
    substitute=None, arch="amd64", user="dev", locale="C.UTF-8", tools=TOOLS, runtime=RUNTIME,
)  # fmt: skip

CONTAINER = ContainerView(
    id="c0ffee", name="app-workstation-1", state="running", health="healthy", image="devbox/workstation:1",
    image_id="sha256:1", labels={"dev.devbox.plan": "p1"},
    ports={5901: 15901, 6080: 16080, 2222: 12222, 3000: 13000}, created="2026-01-01T00:00:00Z",
)  # fmt: skip


def sound_inspect() -> dict[str, Any]:
    """What the engine tells of a container that keeps every promise."""
    home = {"Type": "volume", "Destination": "/home/dev", "Source": "/var/lib/docker/volumes/app_home/_data"}
    places = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(host)}] for port, host in CONTAINER.ports.items()}
    return {
        "Config": {
            "Env": [f"{name}={value}" for name, value in RUNTIME.environment.items()],
            "Healthcheck": {"Test": ["CMD", "/usr/lib/devbox/probe", "check"]},
        },
        "HostConfig": {
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "SETUID"],
            "SecurityOpt": None,
            "NetworkMode": "app_default",
            "PidsLimit": 2048,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        },
        "Mounts": [home, {"Type": "volume", "Destination": "/home/dev/projects"}],
        "NetworkSettings": {"Ports": places},
    }


def sound_image() -> dict[str, Any]:
    return {"Config": {"Env": ["LANG=C.UTF-8"], "Healthcheck": {"Test": ["CMD", "/usr/lib/devbox/probe", "check"]}}}


@dataclass
class FakeEngine:
    """Answers a command by the first key that is part of its line; what is not foreseen succeeds and says nothing."""

    kind: str = field(default="docker", kw_only=True)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=sound_inspect)
    image: dict[str, Any] = field(default_factory=sound_image)
    history: tuple[str, ...] = ("/bin/sh -c #(nop) ADD file:0123 in / ", "COPY rootfs/ / # buildkit")
    image_size: int = 400_000_000
    log: bytes = b""
    lines: list[str] = field(default_factory=list)

    def run(self, container: str, argv: Sequence[str], **options: object) -> ExecResult:
        line = " ".join(argv)
        if "uname -s" in line:  # testinfra asks once, to choose its modules
            return ExecResult(code=0, stdout=b"Linux\n", stderr=b"")
        self.lines.append(line)
        code, out = next((answer for key, answer in self.answers.items() if key in line), (0, ""))
        return ExecResult(code=code, stdout=out.encode(), stderr=b"")

    def close(self) -> None:
        """Nothing runs inside."""

    def inspect(self, container: str) -> dict[str, Any]:
        return self.told

    def find_image(self, reference: str) -> ImageView:
        return ImageView(
            id=reference, tags=(), digests=(), labels={"dev.devbox.plan": "p1"}, size=self.image_size, created="",
            env={}, arch="amd64",
        )  # fmt: skip

    def inspect_image(self, reference: str) -> dict[str, Any]:
        return self.image

    def image_history(self, reference: str) -> tuple[str, ...]:
        return self.history

    def logs(self, container: str, *, follow: bool, tail: int) -> list[bytes]:
        return [self.log]


def make_subject(engine: FakeEngine | None = None, **changes: Any) -> Subject:
    fake = engine or FakeEngine()
    subject = Subject(
        engine=cast("Engine", fake),
        commands=cast("Errands", fake),
        container=CONTAINER,
        resolved=RESOLVED,
        keys=Keys(folder="/nowhere", password=Secret(PASSWORD), identity=None, known_hosts="/nowhere/known_hosts"),
        substitutions=(),
        plan="p1",
    )
    return replace(subject, **changes)


def result_of(case: Case, subject: Subject | None = None, **options: bool) -> Result:
    return run_case(case, subject or make_subject(), **options)


def answering(*pairs: tuple[str, int, str]) -> Subject:
    """A subject whose commands answer so."""
    return make_subject(FakeEngine(answers={key: (code, out) for key, code, out in pairs}))
