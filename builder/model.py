"""The nouns of devbox: frozen values that travel between the phases, and the events a task reports.

Owns no behaviour beyond small derived properties, imports nothing of ours, and touches nothing. What a person or a
catalogue author writes is checked at the edge (`core.config`, `core.catalog`); from `Resolved` on, everything here is
trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})

# ---------------------------------------------------------------------------------------------------- values


class Secret:
    """A string that never shows itself: not in repr, str, format, JSON or a traceback's locals."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]  # a secret is no key


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """Something asked for that could not be had, and what stands in its place. Named, never silent."""

    what: str  # "base", "oh-my-zsh", "python"
    wanted: str  # what was asked for
    got: str  # what stands in
    reason: str = ""  # of this machine, so no part of the lock

    def __str__(self) -> str:
        return f"{self.what}: {self.got} in place of {self.wanted}" + (f" ({self.reason})" if self.reason else "")


# -------------------------------------------------------------------------------------- resolved from config


class Level(Enum):
    """How far a workstation is locked up; what each means for its container is in compose/workstation.yaml."""

    DEV = "dev"  # the user is root by sudo
    LOCKED = "locked"  # nobody inside is root, nor can become it


class Retrieval(Enum):
    """How a base image came to be on the engine."""

    LOCAL = "local"
    PULL = "pull"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A distribution release that a workstation can stand on; see images/bases/."""

    name: str  # debian-12
    distribution: str  # debian | ubuntu
    codename: str  # bookworm
    image: str  # debian:12-slim, as an engine would pull it
    components: tuple[str, ...]  # main, universe
    keyring: str  # file name below the keyring folder of the host
    python: str  # the version that the release ships, "3.11"
    substitute: str | None  # the base to take where this one cannot be had
    supported_until: str | None = None  # 2027-06-01: the last day of security updates for everybody
    source: str = ""  # what is pulled in place of `image`: the same at a mirror
    snapshot: str = ""  # 20240115T000000Z: the moment that packages are taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackRule:
    """One folder or file of an archive or wheel, and where it goes in the image."""

    source: str  # path inside; "" is all of it
    target: str  # absolute path in the image


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A wheel of PyPI, fetched by pip on the host, pinned by sha256 per architecture."""

    requirement: str  # name==version
    sha256: Mapping[str, str]  # architecture (amd64, arm64, any) -> hex
    unpack: tuple[UnpackRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSource:
    """A tar archive from a URL, a mirror or a local file; the checksum is of the uncompressed tar."""

    location: str  # URL or path
    sha256: str
    strip: int  # leading path parts to drop
    unpack: tuple[UnpackRule, ...]
    fallback: str | None  # what stands in its place where it cannot be reached; None: it is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmSource:
    """A package installed by npm in a build stage of its own."""

    package: str
    version: str
    prefix: str  # /opt/<tool>
    links: Mapping[str, str]  # command in /usr/local/bin -> path below prefix
    prune: tuple[str, ...]  # globs below prefix that nobody needs at run time
    integrity: str | None  # of the package itself, as npm writes it


class ProjectKind(Enum):
    """Where the source of a Python project lies."""

    OURS = "ours"  # a folder of devbox itself, below images/
    FOLDER = "folder"  # of this machine
    GIT = "git"
    WHEEL = "wheel"  # a file of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """A Python project, installed into a virtual environment of its own in a build stage of its own."""

    kind: ProjectKind
    location: str  # folder below devbox's data, absolute path, or address of a repository
    revision: str | None = None  # of a repository, as it was written
    prefix: str  # /opt/<tool>: the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One declared check of a tool, as `devbox verify` runs it."""

    run: tuple[str, ...] = ()
    version: str | None = None  # a specifier, ">=2.25"
    file: str | None = None
    package: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedTool:
    """A tool with every choice made for one base and architecture."""

    name: str
    summary: str
    version: str | None
    from_profile: bool  # its apt packages go into the profile's one apt step, others get a step of their own
    origin: str = "devbox.yaml"  # the file that says it, as messages name it
    apt: tuple[str, ...] = ()
    wheel: WheelSource | None = None
    archive: ArchiveSource | None = None
    npm: NpmSource | None = None
    python: PythonSource | None = None
    rootfs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the host inside the workstation."""

    source: str  # absolute path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRequest:
    """A port of the workstation and the one asked for on the host."""

    name: str  # vnc, web, ssh, dev, dev-5173
    container: int
    host: int
    pinned: bool  # pinned: busy is an error; else the next free one is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarForm:
    """One image that a sidecar can run from, and how: pulled (`image`), or built (`packages`)."""

    image: str  # "" for one that is built
    source: str  # what is pulled in place of `image`: the same at a mirror
    packages: tuple[str, ...] = ()  # of the workstation's base
    run: tuple[str, ...] = ()  # shell lines of its build
    stop_signal: str | None = None  # of the image that is built; one that is pulled says it itself
    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str | None
    volume: str | None  # where its data lie
    tmpfs: tuple[str, ...]
    cap_add: tuple[str, ...]
    read_only: bool
    health: tuple[str, ...]  # a command inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What runs beside the workstation, on its network, where `name` is its host name."""

    name: str
    summary: str
    origin: str  # the file that says it
    port: int
    publish: PortRequest | None
    gives: Mapping[str, str]  # variable of the workstation -> text, perhaps with {password}
    memory: int  # bytes
    pids: int
    pulled: SidecarForm | None
    built: SidecarForm | None
    substitute: bool  # whether the built one may stand in for the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What other machines can reach: the web desktop by TLS and with a login, and SSH if asked."""

    address: str  # that these doors are published on
    name: str | None  # what people call it, if devbox.yaml says so
    names: tuple[str, ...]  # host names that the web desktop answers to, besides addresses and localhost
    ssh: bool
    certificate: str | None = None  # absolute paths of PEM files; None: signed by the person's own authority
    key: str | None = None

    def covers(self, door: str) -> bool:
        return door == "web" or (door == "ssh" and self.ssh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A shell line that is run inside once, for a home or for a start."""

    moment: str  # on_create | on_start
    number: int  # among those of its moment, from 1
    of: int
    line: str
    id: str  # another line, or place, is another hook
    timeout_s: int

    @property
    def name(self) -> str:
        return f"hooks.{self.moment}" + (f" ({self.number} of {self.of})" if self.of > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dotfiles:
    """A person's own settings, for a new home: of a Git address, or a path of this machine."""

    git: str | None
    path: str | None  # absolute
    timeout_s: int

    @property
    def source(self) -> str:
        return self.git or self.path or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What decides how the container runs, and nothing that can change the image."""

    project: str  # the compose project, and the prefix of every name
    hostname: str
    user: str
    uid: int
    gid: int
    environment: Mapping[str, str]
    ports: tuple[PortRequest, ...]
    bind: str  # address that ports are published on
    mounts: tuple[Mount, ...]
    memory: int | None  # bytes
    cpus: float | None
    shm: int  # bytes
    pids: int
    authorized_keys: tuple[str, ...] = ()  # public keys or paths of them; none: the person's own
    level: Level = Level.DEV
    closed: tuple[str, ...] = ()  # names of ports that a tool brings and whose service is not started
    exposure: Exposure | None = None
    sidecars: tuple[Sidecar, ...] = ()
    hooks: tuple[Hook, ...] = ()
    dotfiles: Dotfiles | None = None
    env_files: tuple[str, ...] = ()  # absolute paths
    env_files_named: bool = False  # devbox.yaml names them, so that they have to be there

    @property
    def reader(self) -> tuple[int, int] | None:
        """Who has to read the secrets inside, where it is not root."""
        return (self.uid, self.gid) if self.level is Level.LOCKED else None

    def bind_of(self, door: str) -> str:
        """The address that a port is published on."""
        return self.exposure.address if self.exposure and self.exposure.covers(door) else self.bind


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Everything that was asked for, with defaults filled in and names looked up; nothing asked of the world yet."""

    profile: str
    base: Base
    substitute: Base | None  # allowed in place of `base`
    arch: str
    user: str
    locale: str
    tools: tuple[ResolvedTool, ...]  # in install order
    runtime: Runtime
    budget: Mapping[str, float] = field(default_factory=dict)
    substitutions: tuple[Substitution, ...] = ()  # what the catalogue itself had to replace

    @property
    def doors(self) -> Mapping[str, int]:
        """The ports that are listened on inside, by name."""
        closed = self.runtime.closed
        return {name: port for tool in self.tools for name, port in tool.ports.items() if name not in closed}


# ----------------------------------------------------------------------------------- answers of the upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseAnswer:
    """Where the base comes from here. `identity` enters the plan id: a digest, an image id, or a recipe hash."""

    name: str  # the base that is used
    reference: str  # what FROM names
    how: Retrieval  # found on the engine, pulled, or bootstrapped
    identity: str  # its digest, or what it was bootstrapped from


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the world said to the questions that a `Resolved` asks, as the plan takes it from the lock."""

    base: BaseAnswer
    absent: tuple[str, ...]  # tools whose archive could not be had and that fall back
    substitutions: tuple[Substitution, ...]
    commits: Mapping[str, str] = field(default_factory=dict)  # tool -> what its Git revision stands for
    # Step -> `name version architecture sha256` of each package; no step of which nobody asked the mirrors yet.
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Tool -> file -> text: what npm or pip is held to, for it and all that it needs; none where nobody asked yet.
    closures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


# ----------------------------------------------------------------------------------------------------- plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One build step. Its id hashes kind, options and the ids it stands on, so equal ids build equal results."""

    name: str  # "apt", "node", "apt:htop": unique in a plan
    kind: str  # names the template fragment
    id: str  # content id
    summary: str  # in words, for "why does it rebuild"
    origin: str  # catalogue file or devbox.yaml that it comes from
    options: Mapping[str, object]  # what the fragment is rendered with: plain data only
    parents: tuple[str, ...]  # ids of the steps that it stands on


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    name: str  # on the engine
    key: str  # in compose
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSpec:
    test: tuple[str, ...]
    interval_s: float
    timeout_s: float
    start_period_s: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    name: str
    container: int
    host: int
    bind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """The one description of the running container: the SDK call and compose.yaml are both made from it."""

    project: str
    service: str
    image: str
    hostname: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    ports: tuple[PublishedPort, ...]
    volumes: tuple[VolumeSpec, ...]
    mounts: tuple[Mount, ...]
    secrets_dir: str
    tmpfs: Mapping[str, str]  # target -> options
    cap_drop: tuple[str, ...]
    cap_add: tuple[str, ...]
    security_opt: tuple[str, ...]
    read_only: bool
    restart: str  # "unless-stopped"
    restart_retries: int
    stop_grace_s: int
    shm: int
    memory: int | None
    cpus: float | None
    pids: int
    health: HealthSpec
    user: str | None = None  # uid:gid of PID 1; None: root, as the image has it
    command: tuple[str, ...] = ()  # none: the image's own

    @property
    def container_name(self) -> str:
        return f"{self.project}-{self.service}-1"

    @property
    def network(self) -> str:
        return f"{self.project}_default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be built: steps with content ids. `id` is the identity of the image."""

    id: str  # SHA-256 of all that goes into the image
    image: str  # devbox/<profile>:<first 12 of id>
    profile: str  # of devbox.yaml
    requested_base: str  # the base that devbox.yaml asks for
    base: BaseAnswer
    steps: tuple[Step, ...]
    environment: Mapping[str, str]  # of everything inside
    path: tuple[str, ...]  # folders before the usual ones
    labels: Mapping[str, str]  # of the image
    substitutions: tuple[Substitution, ...]
    user: str  # login name
    parts: tuple[str, ...]  # folders of images/rootfs
    ports: Mapping[str, int]  # name -> port inside


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    data: bytes
    executable: bool = False


RenderedTree = Mapping[str, RenderedFile]  # relative POSIX path -> file; sorted by path


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a PythonSource turned out to be. `files` is empty where the host delivers a folder at build time."""

    identity: str  # hash of the files, commit, or sha256 of the wheel
    summary: str
    files: RenderedTree = field(default_factory=dict)


# -------------------------------------------------------------------------------------- what the engine says


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    version: str  # 20.10.24
    api: str  # 1.41: the engine's own
    arch: str  # amd64, arm64
    os: str  # linux
    buildkit: bool
    cgroup: str  # "1" | "2"
    storage: str  # overlay2
    rootless: bool
    host: str  # the address it was reached at
    runc: str = ""  # 1.1.5+ds1-1+deb12u1: as its build says it; "" where the engine does not tell
    desktop: bool = False  # Docker Desktop: the engine runs in a virtual machine
    kind: str = "docker"  # docker | podman, which answers like one
    firewall: str = ""  # iptables+firewalld: how ports are opened, where the engine tells (28.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A regular file or symbolic link of an image."""

    path: str  # without the leading slash
    size: int = 0  # bytes of its own: none for a link, and for what shares them with an earlier file
    sha1: str = ""  # hex; SPDX wants it beside the better one
    sha256: str = ""
    link: str = ""  # where a symbolic link leads
    data: bytes = b""  # all or the part of it that was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEvent:
    """One thing that the builder says of one instruction: a new state, a line of its log, or bytes moved."""

    vertex: str  # the instruction as BuildKit names it: "[workstation 3/9] RUN ..."
    state: str = "running"  # running | cached | done | failed | canceled (because another one failed)
    seconds: float = 0.0  # of done and failed
    log: str = ""  # a line, if this is one
    done: int = 0  # bytes of `total` (0: unknown), where the instruction moves something
    total: int = 0


# -------------------------------------------------------------------------------------- what the host keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a workspace remembers between two runs. All of it can be lost without losing data."""

    ports: Mapping[str, int] = field(default_factory=dict)  # name -> host port that it got
    lock: str = ""  # sha256 of devbox-lock.json as of that time
    fingerprint: str = ""  # of everything that `up` read the last time it found or made the workstation
    plan: str = ""  # id, as of that time
    spec: str = ""
    project: str = ""  # the name that the workstation had then
    token: str = ""  # by which a folder that was moved is known: the state directory has it, too
    sidecars: Mapping[str, str] = field(default_factory=dict)  # name -> id of its spec, as of that time
    alone: bool = False  # the workstation was one container and its own secrets: nothing else has to be brought


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Where the secrets of one workstation lie on this machine; `folder` is what the container gets to see."""

    folder: str
    password: Secret
    identity: str | None  # private key for SSH made by devbox, None where the person's own keys are used
    known_hosts: str  # file that pins the host key
    web_password: Secret | None = None  # of an exposed workstation
    authority: str | None = None  # certificate of the person's own authority, for browsers to trust; None: never made
    environment: str = ""  # token of the variables that are handed in; "" where there are none


# --------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth saying, once."""

    text: str
    level: str = "info"  # info | warning | done


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A phase of the work (resolve, base, fetch, build, start) begins; what follows belongs to it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    name: str
    text: str
    seconds: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """State of one build step or download. `done`/`total` count `unit` (packages, bytes); total 0: unknown."""

    name: str
    text: str
    state: str  # running | cached | done | failed
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    name: str  # step or service
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReached:
    """A phase of the start was reached, so many seconds after the container started."""

    phase: str
    seconds: float


Event = Note | TaskStarted | TaskEnded | StepProgress | LogLine | PhaseReached


# ------------------------------------------------------------------------------------------ files of devbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The data folders of devbox itself, read once: what a verb needs of images/, templates/ and compose/."""

    catalogue: Mapping[str, str]  # images/tools/git.yaml -> text; rootfs parts are named by their folders
    rootfs: Mapping[str, RenderedFile]  # <part>/<path in the image> -> file
    projects: Mapping[str, RenderedFile]  # images/frameworks/<name>/<path> -> file: what Python tools are built from
    templates: Mapping[str, str]  # Dockerfile.j2 -> text
    service: str  # compose/workstation.yaml
    version: str  # of devbox
    origins: Mapping[str, str] = field(default_factory=dict)  # of what a person's own catalogue brings: where it lies
    absent: tuple[str, ...] = ()  # folders of such a catalogue that are not there
    unread: tuple[Exception, ...] = ()  # why others of them could not be read: raised where the catalogue is needed
    ours: Assets | None = None  # without any such catalogue, where one was laid over

    @property
    def listing(self) -> Mapping[str, str]:
        """What the catalogue is parsed from: its texts, and of the folders that they name the paths alone."""
        paths = (*(f"images/rootfs/{path}" for path in self.rootfs), *self.projects)
        return {**self.catalogue, **dict.fromkeys(paths, "")}
