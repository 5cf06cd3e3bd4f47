"""What will be made anew, and why, in words: the image step by step, the container setting by setting.

Pure: what runs and what is wanted come as values. Must not know where either was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_REQUESTED_BASE, LABEL_SUBSTITUTIONS, LABEL_WORKSPACE
from builder.core.plan import explain_difference

if TYPE_CHECKING:
    from builder.core.updates import Change
    from builder.model import Plan, PublishedPort, ServiceSpec

Steps = Mapping[str, Sequence[str]]  # of the label `steps`: name -> [id, summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDifference:
    """An image that is to be built in place of another. steps with equal ids come from the cache."""

    before: str  # tag
    after: str  # tag
    why: tuple[str, ...]  # in words
    packages: tuple[Change, ...] = ()  # whose locked version is another one
    runs: tuple[str, ...]  # steps that run
    stays: tuple[str, ...]  # steps that are as they were


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All of it; empty where what runs is what is wanted."""

    image: ImageDifference | None = None
    container: tuple[str, ...] = ()  # why it is made anew
    lock: tuple[str, ...] = ()  # what it does not answer

    @property
    def empty(self) -> bool:
        return self.image is None and not self.container and not self.lock


def compare_image(
    before: str, profile: str, steps: Steps, plan: Plan, packages: Sequence[Change] = ()
) -> ImageDifference:
    """`before`, `profile` and `steps` are the tag and labels of the image that runs, which is not that of `plan`."""
    short = {step.name: step.id[:12] for step in plan.steps}
    stays = tuple(name for name, step_id in short.items() if name in steps and steps[name][0] == step_id)
    why = explain_difference(steps, plan)
    if profile != plan.profile:
        why = (f"the profile is {plan.profile}, and was {profile}", *why)
    return ImageDifference(
        before=before,
        after=plan.image,
        why=why,
        packages=tuple(packages),
        runs=tuple(name for name in short if name not in stays),
        stays=stays,
    )


# ------------------------------------------------------------------------------------------------ the container

# Fields of a spec that are one value, by the words for them.
_SINGLE: Final[Mapping[str, str]] = {
    "hostname": "the host name", "user": "the user id", "read_only": "whether its root can be written to",
    "shm": "resources.shm", "memory": "resources.memory", "cpus": "resources.cpus", "pids": "resources.pids",
    "restart": "when it is started again", "stop_grace_s": "how long it may take to stop",
}  # fmt: skip
# And those whose content says little to a person.
_WHOLE: Final[Mapping[str, str]] = {
    "cap_drop": "what its security level means", "cap_add": "what its security level means",
    "security_opt": "what its security level means", "tmpfs": "its folders in memory", "health": "its health check",
    "secrets_dir": "where its secrets lie",
}  # fmt: skip
# Variables that are made from a key of devbox.yaml.
_VARIABLES: Final[Mapping[str, str]] = {
    "TZ": "timezone", "LANG": "locale", "ZSH_THEME": "shell.theme", "DEVBOX_UID": "user.uid",
    "DEVBOX_GEOMETRY": "desktop.geometry", "DEVBOX_DEPTH": "desktop.depth", "DEVBOX_DPI": "desktop.dpi",
    "DEVBOX_OPENGL": "desktop.opengl", "DEVBOX_SCALE": "desktop.scale", "GDK_SCALE": "desktop.scale",
    "QT_SCALE_FACTOR": "desktop.scale", "DEVBOX_KEYBOARD": "desktop.keyboard",
    "DEVBOX_OFF": "services that are switched off",
}  # fmt: skip
_LABELS: Final[Mapping[str, str]] = {
    LABEL_REQUESTED_BASE: "the base that was asked for", LABEL_SUBSTITUTIONS: "what stands in for something else",
    LABEL_WORKSPACE: "the folder that it belongs to",
}  # fmt: skip


def explain_container(before: ServiceSpec, after: ServiceSpec) -> tuple[str, ...]:
    """Why the container of `before` would be made anew, apart from its image."""
    words = [
        *_explain_variables(before.environment, after.environment),
        *_explain_ports(before.ports, after.ports),
        *_explain_keys(
            "mounts",
            {mount.target: str((mount.source, mount.read_only)) for mount in before.mounts},
            {mount.target: str((mount.source, mount.read_only)) for mount in after.mounts},
        ),
        *_explain_keys(
            "volumes",
            {volume.target: volume.name for volume in before.volumes},
            {volume.target: volume.name for volume in after.volumes},
        ),
    ]
    for name, called in _SINGLE.items():
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            words.append(f"{called}: {_show(name, was)} -> {_show(name, now)}")
    words += [called for name, called in _WHOLE.items() if getattr(before, name) != getattr(after, name)]
    words += [called for name, called in _LABELS.items() if before.labels.get(name) != after.labels.get(name)]
    return tuple(dict.fromkeys(words))


def _explain_variables(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name, key in _VARIABLES.items():
        if before.get(name) != after.get(name):
            yield f"{key}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
    plain = [{name: value for name, value in given.items() if name not in _VARIABLES} for given in (before, after)]
    yield from _explain_keys("environment", *plain)


def _explain_keys(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """By name alone: a value may be long, and is in devbox.yaml."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"{what}: {name} is new"
        elif name not in after:
            yield f"{what}: {name} is gone"
        elif before[name] != after[name]:
            yield f"{what}: {name} is another one"


def _explain_ports(before: Sequence[PublishedPort], after: Sequence[PublishedPort]) -> Iterator[str]:
    was = {port.name: f"{port.bind}:{port.host}" for port in before}
    now = {port.name: f"{port.bind}:{port.host}" for port in after}
    for name in sorted(was.keys() | now.keys()):
        if name not in was:
            yield f"ports: {name} is published at {now[name]}"
        elif name not in now:
            yield f"ports: {name} is published no more"
        elif was[name] != now[name]:
            yield f"ports: {name} {was[name]} -> {now[name]}"


def _show(name: str, value: object) -> str:
    match value:
        case None:
            return "no limit" if name in ("memory", "cpus") else "root"
        case bool():
            return "no" if value else "yes"  # read_only, asked the other way round
        case int() if name in ("memory", "shm"):
            return f"{value >> 20} MB"
        case _:
            return str(value)
