"""Sidecars: what runs beside the workstation. Their files in images/sidecars, and what devbox.yaml says of them.

Owns the shape of both, and the choices that need no world. Must not know a container: that is `beside`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator, Field

from builder.core.fields import (  # pydantic reads annotations at run time
    AptPackages,
    ContainerPath,
    EnvironmentName,
    FreeText,
    ImageReference,
    SharedMemory,
    Version,
    size_in_bytes,
)
from builder.core.network import through_registry
from builder.core.problems import choose_hint, shown
from builder.core.validation import WHOLE, Section, Switch, Text, describe, one_of, wrong
from builder.core.variables import FreeName  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.version_choice import VersionChoice
from builder.model import PortRequest, Sidecar, SidecarForm

if TYPE_CHECKING:
    from builder.core.config import Config
    from builder.core.problems import Problem, Source

WORDS: Final = ("host", "port", "password")  # that stand in braces in what a sidecar gives

# A host name on the network. `x-built` would have the volume of x where that is built.
_NAME: Final = r"(?!workstation$|localhost$|.*-built$)[a-z0-9](?:[a-z0-9-]{0,29}[a-z0-9])?"
SidecarName = Annotated[str, Text("the name of a sidecar", _NAME, 31, "postgres")]
ServerPort = Annotated[int, Field(ge=1, le=65535), WHOLE]
HostPort = Annotated[int, Field(ge=1024, le=65535), WHOLE]
Account = Annotated[str, Text("a user, or user:group, of the image", r"[a-z0-9_][a-z0-9_:-]*", 60, "postgres")]
Capability = Annotated[str, Text("a capability", r"[A-Z][A-Z_]+", 30, "CHOWN")]


# ----------------------------------------------------------------------------------------- images/sidecars/*.yaml


class FormFile(Section):
    """How it runs from one image. `health` is a command inside that succeeds once it can be used."""

    command: tuple[FreeText, ...] = ()
    environment: dict[EnvironmentName, FreeText] = Field(default_factory=dict)
    user: Account | None = None
    volume: ContainerPath | None = None  # where its data lie
    tmpfs: tuple[ContainerPath, ...] = ()
    cap_add: tuple[Capability, ...] = ()  # all are dropped else
    read_only: Switch = True
    health: tuple[FreeText, ...] = Field(min_length=1)


class ImageFile(FormFile):
    """An image of a registry; its tag is the version that is chosen."""

    name: ImageReference


class BuildFile(FormFile):
    """An image from the packages of the workstation's base; `run` are shell lines after they are installed."""

    apt: AptPackages
    run: tuple[FreeText, ...] = ()
    stop_signal: Annotated[str, one_of("a signal", "SIGINT", "SIGQUIT", "SIGTERM")] | None = None  # else SIGTERM


class SidecarFile(Section):
    """images/sidecars/<name>.yaml"""

    summary: Annotated[str, Text("a summary on one line", r".+", 120)]
    version: Version | None = None  # the tag of the image, where devbox.yaml names none
    port: ServerPort
    gives: dict[FreeName, FreeText] = Field(default_factory=dict)
    memory: SharedMemory = "512m"  # from 16m on
    pids: Annotated[int, Field(ge=16, le=65536), WHOLE] = 256
    image: ImageFile | None = None
    build: BuildFile | None = None


def file_problems(name: str, file: SidecarFile, source: Source) -> Iterator[Problem]:
    """What is wrong in a file that is well formed."""
    if not re.fullmatch(_NAME, name):
        yield source.problem((), f"{shown(name)} is no name of a sidecar", hint="for example postgres.yaml")
    if file.image is None and file.build is None:
        yield source.problem((), "neither `image` nor `build`: it cannot be had", hint="write one of them, or both")
    if file.image is not None and file.version is None and ":" not in file.image.name:
        yield source.problem(("image",), "an image without a tag", hint="add `version`", of_key=True)
    for variable, text in file.gives.items():
        for word in re.findall(r"\{([A-Za-z_]+)\}", text):
            if word not in WORDS:
                message = f"unknown placeholder {shown(word)}"
                yield source.problem(("gives", variable), message, hint=choose_hint(word, WORDS))


# ----------------------------------------------------------------------------------------------------- devbox.yaml


class SidecarChoice(VersionChoice):
    """A version as text, true for the default one, false to leave it out; `port` publishes it on this machine."""

    port: HostPort | None = None
    substitute: Switch = True


def sidecar_mapping(value: object) -> object:
    """A list of names is a mapping to the default version of each."""
    if not isinstance(value, (list, tuple)):
        return value
    for item in value:
        if not isinstance(item, str):
            raise wrong(f"the name of a sidecar is expected, not {describe(item)}", "for options write a mapping")
    if twice := next((item for item in value if value.count(item) > 1), None):
        raise wrong(f"the sidecar {shown(twice)} is listed twice", "keep one of them")
    return {item: {"enabled": True} for item in value}


SidecarChoices = Annotated[
    dict[SidecarName, SidecarChoice], BeforeValidator(sidecar_mapping), Field(default_factory=dict, max_length=20)
]


# -------------------------------------------------------------------------------------------------------- resolved


def resolve_sidecars(
    config: Config, known: Mapping[str, SidecarFile], sources: Mapping[str, Source], problems: list[Problem]
) -> tuple[Sidecar, ...]:
    """Those that are asked for, by name; what is wrong is added to `problems`."""
    found: list[Sidecar] = []
    taken: dict[int, str] = {}
    for name, choice in sorted(config.sidecars.items()):
        if not choice.enabled:
            continue
        if name not in known:
            message, hint = f"unknown sidecar {shown(name)}", choose_hint(name, known)
            problems.append(config.source.problem(_place(config, name), message, hint=hint, of_key=True))
            continue
        if name == config.hostname:
            message = f"inside, {name} is the workstation itself: the sidecar could not be reached"
            hint = "give the workstation another name with `name:` in devbox.yaml"
            problems.append(config.source.problem(_place(config, name), message, hint=hint, of_key=True))
        if choice.port is not None and taken.setdefault(choice.port, name) != name:
            message = f"{taken[choice.port]} and {name} both ask for port {choice.port} of this machine"
            problems.append(config.source.problem(("sidecars", name, "port"), message, hint="give one another number"))
        found.append(_resolve(config, name, known[name], sources[f"images/sidecars/{name}.yaml"].file))
    problems.extend(_find_given_twice(config, found))
    return tuple(found)


def _find_given_twice(config: Config, found: Sequence[Sidecar]) -> Iterator[Problem]:
    """A variable that says where two servers are would silently lead to one of them. Not where devbox.yaml sets it."""
    givers: dict[str, str] = {}
    for sidecar in found:
        twice = [name for name in sidecar.gives if name in givers and name not in config.environment]
        if twice:
            message = f"{givers[twice[0]]} and {sidecar.name} both give {', '.join(twice)}"
            hint = "leave one out, set it with `environment`, or give it another name in a file of your own `catalogue`"
            yield config.source.problem(_place(config, sidecar.name), message, hint=hint, of_key=True)
        givers |= dict.fromkeys(sidecar.gives.keys() - givers.keys(), sidecar.name)


def _place(config: Config, name: str) -> tuple[str | int, ...]:
    """Of a name, in a mapping or a list."""
    if ("sidecars", name) in config.source.keys or not config.source.values:
        return ("sidecars", name)
    return ("sidecars", list(config.sidecars).index(name))


def _resolve(config: Config, name: str, file: SidecarFile, origin: str) -> Sidecar:
    choice = config.sidecars[name]
    publish = None
    if choice.port is not None:
        publish = PortRequest(name=f"sidecars.{name}", container=file.port, host=choice.port, pinned=False)
    words = {"host": name, "port": str(file.port)}
    return Sidecar(
        name=name,
        summary=file.summary,
        origin=origin,
        port=file.port,
        publish=publish,
        gives={variable: _fill(text, words) for variable, text in sorted(file.gives.items())},
        memory=size_in_bytes(file.memory),
        pids=file.pids,
        pulled=_pulled(config, file, choice.version),
        built=_built(file.build) if file.build else None,
        substitute=choice.substitute,
    )


def _pulled(config: Config, file: SidecarFile, version: str | None) -> SidecarForm | None:
    if file.image is None:
        return None
    name, tag = file.image.name, version or file.version
    if tag is not None:
        name = f"{re.sub(r'(:[^/:]+)?$', '', name)}:{tag}"  # not the port of a registry
    return _form(file.image, image=name, source=through_registry(name, config.mirrors.images))


def _built(file: BuildFile) -> SidecarForm:
    return replace(_form(file), packages=file.apt, run=file.run, stop_signal=file.stop_signal)


def _form(file: FormFile, *, image: str = "", source: str = "") -> SidecarForm:
    return SidecarForm(
        image=image,
        source=source,
        command=file.command,
        environment=dict(sorted(file.environment.items())),
        user=file.user,
        volume=file.volume,
        tmpfs=file.tmpfs,
        cap_add=file.cap_add,
        read_only=file.read_only,
        health=file.health,
    )


def _fill(text: str, words: Mapping[str, str]) -> str:
    """What is known without the world; {password} stays for who knows it."""
    return re.sub(r"\{(host|port)\}", lambda match: words[match.group(1)], text)


def fill_password(text: str, password: str) -> str:
    return text.replace("{password}", password)
