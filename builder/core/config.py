"""devbox.yaml: its keys, their rules and their defaults.

Owns the shape of what a person writes, and its checks that need no catalogue. Must not look anything up: names of
tools, bases and profiles are resolved in `resolve`, files and keys of the host elsewhere. All that is wrong is told at
once, with file, line and column.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from builder.core.backups import BackupChoice
from builder.core.dotfiles import DotfilesChoice
from builder.core.exposure import Expose
from builder.core.fields import (
    Address,
    CatalogueName,
    ContainerPath,
    FreeText,
    Geometry,
    HostPath,
    ImageReference,
    Keyboard,
    Locale,
    Login,
    MachineAddress,
    Memory,
    Name,
    NpmPackage,
    PublicKey,
    RegistryPath,
    SharedMemory,
    Theme,
    Timezone,
    UrlOrPath,
    is_timezone,
)
from builder.core.framework import Framework
from builder.core.hooks import HookChoice
from builder.core.network import AptChoice, CaBundle, Mirrors
from builder.core.own_checks import OwnChecks  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.problems import Source, shown
from builder.core.sidecars import SidecarChoices  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.source import Scalar, decode_source, parse_source
from builder.core.validation import NUMBER, WHOLE, Section, Switch, as_list, describe, one_of, validate, written, wrong
from builder.core.variables import FreeName  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.version_choice import VersionChoice
from builder.model import Level

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

    from builder.core.facts import HostFacts

DEFAULT_PROFILE: Final = "workstation"
DEFAULT_BASE: Final = "ubuntu-22.04"
LOCKED_MEMORY: Final = "4g"
LOCKED_CPUS: Final = 2.0

HostPort = Annotated[int, Field(ge=1024, le=65535), WHOLE]
SecurityLevel = Annotated[str, one_of("a level", *(level.value for level in Level))]
ContainerPort = Annotated[int, Field(ge=1024, le=65535), WHOLE]


class BaseChoice(Section):
    """The distribution release to stand on. A plain text is its name."""

    short_form: ClassVar[str | None] = "name"
    name: CatalogueName = DEFAULT_BASE
    substitute: Switch = True
    image: ImageReference | None = None


class UserChoice(Section):
    """Who works inside. A plain text is the name; without a uid it is the caller's."""

    short_form: ClassVar[str | None] = "name"
    name: Login = "dev"
    uid: Annotated[int, Field(ge=100, le=2_000_000_000), WHOLE] | None = None


class ToolChoice(VersionChoice):
    """A version as text, true for the default version, false to leave a tool of the profile out."""


class PortChoice(Section):
    """A number is the port preferred on the host; false publishes nothing; pinned takes that port or fails."""

    host: HostPort | None = None
    pinned: Switch = False
    published: Switch = True

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, (Mapping, list)):
            return value
        plain = written(value)
        return {"published": plain} if isinstance(plain, bool) else {"host": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["host"], {"type": "boolean"}]


class DevPort(Section):
    """A port of a development server: 3000, or "8080:3000" for host and container, or a mapping."""

    container: ContainerPort
    host: HostPort | None = None
    pinned: Switch = False

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, (Mapping, list)):
            return value
        match = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", value) if isinstance(value, str) else None
        if match:
            return {"host": int(match.group(1)), "container": int(match.group(2))}
        if isinstance(written(value), bool) or not isinstance(written(value), int):
            hint = 'for example 3000, or "8080:3000" (host:container)'
            raise wrong(f"a port is expected, not {describe(value)}", hint)
        return {"container": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        pair = {"type": "string", "pattern": "^[0-9]{1,5}:[0-9]{1,5}$", "maxLength": 11}
        return [keys["container"], pair]


def dev_list(value: object) -> object:
    if isinstance(value, Mapping):
        return [value]
    return [] if written(value) is False else as_list(value)


class Ports(Section):
    """Host ports. One that is busy is replaced by the next free one, unless it is pinned."""

    vnc: PortChoice = PortChoice()
    web: PortChoice = PortChoice()
    ssh: PortChoice = PortChoice()
    dev: Annotated[tuple[DevPort, ...], BeforeValidator(dev_list), Field(max_length=50)] = (DevPort(container=3000),)


def _depth(value: int) -> int:
    if value not in (16, 24):
        raise wrong(f"{shown(value)} is no colour depth that works", "16 or 24")
    return value


def _scale(value: int) -> int:
    if value not in (1, 2):
        raise wrong(f"{shown(value)} is no scale that works", "1, or 2 for screens with twice the pixels")
    return value


class Desktop(Section):
    """The screen. `server` is a tool that the catalogue offers as a VNC server; without it the profile decides."""

    server: CatalogueName | None = None
    geometry: Geometry = "1920x1080"
    depth: Annotated[int, AfterValidator(_depth), Field(json_schema_extra={"enum": [16, 24]}), WHOLE] = 24
    dpi: Annotated[int, Field(ge=48, le=384), WHOLE] = 96
    scale: Annotated[int, AfterValidator(_scale), Field(json_schema_extra={"enum": [1, 2]}), WHOLE] = 1
    keyboard: Keyboard | None = None
    opengl: Switch = False


class MountChoice(Section):
    """A folder of the host: relative to the workspace, absolute, or below ~."""

    source: HostPath
    target: ContainerPath
    read_only: Switch = False

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, str):
            hint = "write {source: ./data, target: /home/dev/data}"
            raise wrong(f"a mapping is expected, not {describe(value)}", hint)
        return value


class Resources(Section):
    """What the container may use; nothing written means no limit for memory and cpus, but at the level `locked`."""

    memory: Memory | None = None
    cpus: Annotated[float, Field(ge=0.1, le=1024), NUMBER] | None = None
    shm: SharedMemory = "512m"
    pids: Annotated[int, Field(ge=128, le=4_194_304), WHOLE] = 2048


class Shell(Section):
    theme: Theme = "jonathan"


class Security(Section):
    """How far the workstation is locked up. A plain text is the level."""

    short_form: ClassVar[str | None] = "level"
    level: SecurityLevel = "dev"


class Ssh(Section):
    """Who may log in by SSH; nothing written means the host's own public keys."""

    authorized_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(as_list), Field(max_length=100)] | None = None


class Verify(Section):
    """What `devbox verify` checks besides its own: a list of declared checks, and a folder of testinfra files."""

    checks: OwnChecks = ()
    tests: HostPath | None = None

    @classmethod
    def expand(cls, value: object) -> object:
        return {"checks": value} if isinstance(value, (list, tuple)) else value

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["checks"]]


class Cache(Section):
    """Where an image that somebody built before is taken from. A plain text is the registry."""

    short_form: ClassVar[str | None] = "registry"
    registry: RegistryPath | None = None


def tool_mapping(value: object) -> object:
    """A list of names is a mapping to the default version of each."""
    if not isinstance(value, (list, tuple)):
        return value
    for item in value:
        if not isinstance(item, str):
            raise wrong("a list of tools holds names only", "for versions write a mapping: `tools: {node: 20}`")
    if twice := next((item for item in value if value.count(item) > 1), None):
        raise wrong(f"the tool {shown(twice)} is listed twice", "keep one of them")
    return {item: {"enabled": True} for item in value}


def env_files(value: object) -> object:
    return [] if written(value) is False else as_list(value)


EnvFiles = Annotated[tuple[HostPath, ...], BeforeValidator(env_files), Field(max_length=10)]


class Config(Section):
    """devbox.yaml. Every key may be left out."""

    name: Name
    profile: CatalogueName = DEFAULT_PROFILE
    base: BaseChoice = BaseChoice()
    user: UserChoice = UserChoice()
    tools: Annotated[dict[CatalogueName, ToolChoice], BeforeValidator(tool_mapping)] = Field(
        default_factory=dict, max_length=200
    )
    apt: AptChoice = AptChoice()
    npm: Annotated[tuple[NpmPackage, ...], BeforeValidator(as_list)] = Field(default=(), max_length=100)
    framework: Framework = Framework()
    desktop: Desktop = Desktop()
    ports: Ports = Ports()
    host: MachineAddress | None = None
    bind: Address = "127.0.0.1"
    expose: Expose = Expose(enabled=False)
    environment: dict[FreeName, FreeText] = Field(default_factory=dict, max_length=500)
    mounts: tuple[MountChoice, ...] = Field(default=(), max_length=50)
    sidecars: SidecarChoices
    hooks: HookChoice = HookChoice()
    dotfiles: DotfilesChoice = DotfilesChoice()
    env_file: EnvFiles = (".env",)
    resources: Resources = Resources()
    locale: Locale = "C.UTF-8"
    timezone: Timezone = "UTC"
    shell: Shell = Shell()
    catalogue: Annotated[tuple[HostPath, ...], BeforeValidator(as_list), Field(max_length=20)] = ()
    sources: dict[CatalogueName, UrlOrPath] = Field(default_factory=dict, max_length=200)
    ssh: Ssh = Ssh()
    security: Security = Security()
    mirrors: Mirrors = Mirrors()
    ca_bundle: CaBundle = CaBundle()
    cache: Cache = Cache()
    backup: BackupChoice = BackupChoice()
    verify: Verify = Verify()
    budgets: dict[Name, Annotated[float, Field(gt=0, le=1e9), NUMBER]] = Field(default_factory=dict, max_length=100)

    _source: Source = PrivateAttr(default=Source(file="devbox.yaml", data={}))

    @property
    def source(self) -> Source:
        """Where each part was written, for what is found wrong later."""
        return self._source

    @property
    def hostname(self) -> str:
        """By which the workstation knows itself."""
        return self.name.replace("_", "-").strip("-")


def parse_config(text: str | bytes | None, *, file: str, defaults: HostFacts) -> Config:
    """Read devbox.yaml; None means that there is none. Raises ConfigError with all that is wrong."""
    if isinstance(text, bytes):
        text = decode_source(text, file=file)
    source = parse_source(text, file=file) if text is not None else Source(file=file, data={})
    if isinstance(source.data, dict):
        # As if written: the name and the time zone have no default of their own.
        missing = {key: value for key, value in _from_host(defaults).items() if not is_given(source.data.get(key))}
        source = Source(
            file=file, lines=source.lines, data={**source.data, **missing}, keys=source.keys, values=source.values
        )
    config = _fill_for_level(validate(Config, source), defaults)
    config._source = source
    return config


def is_given(value: object) -> bool:
    """Whether a key was written with something behind it."""
    return value is not None and written(value) is not None


def _from_host(facts: HostFacts) -> dict[str, Scalar]:
    zone = facts.timezone if facts.timezone and is_timezone(facts.timezone) else "UTC"
    name = make_name(facts.folder)
    return {"name": Scalar(name, name), "timezone": Scalar(zone, zone)}


def _fill_for_level(config: Config, facts: HostFacts) -> Config:
    """At the level `locked`, where nothing is written: limits, and no SSH. As if it were written."""
    if config.security.level != Level.LOCKED.value:
        return config
    limits, ports = config.resources, config.ports
    if limits.memory is None:
        limits = limits.model_copy(update={"memory": LOCKED_MEMORY})
    if limits.cpus is None:  # an engine refuses more than it has
        limits = limits.model_copy(update={"cpus": min(LOCKED_CPUS, facts.cpus or LOCKED_CPUS)})
    if "ssh" not in ports.model_fields_set and config.ssh.authorized_keys is None:
        ports = ports.model_copy(update={"ssh": PortChoice(published=False)})
    return config.model_copy(update={"resources": limits, "ports": ports})


def make_name(folder: str) -> str:
    """A project name from the name of a folder; one with no Latin letter or digit gets a few digits of its hash."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:41].strip("-")
    return slug or "devbox-" + hashlib.sha256(folder.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def config_as_dict(config: Config) -> dict[str, Any]:
    """The config as plain data with every default filled in; `parse_config` reads it back to the same config."""
    return config.model_dump(mode="json")
