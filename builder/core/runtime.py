"""How the container will run: user id, environment, ports, mounts, limits.

Owns everything of a Resolved that cannot change the image. Must not look at the host: HostFacts are handed in.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from builder.core.fields import size_in_bytes
from builder.model import Dotfiles, Exposure, Level, Mount, PortRequest, ResolvedTool, Runtime, Sidecar

if TYPE_CHECKING:
    from builder.core.config import Config, Desktop
    from builder.core.facts import HostFacts
    from builder.core.problems import Path, Problem

DEFAULT_ID: Final = 1000  # of the user in the image; root's own work is done as this one, never as root

# Folders of the host that a container must not see, and those of the image that a mount must not hide.
_ENGINE_DATA: Final = ("/var/lib/containerd", "/var/lib/docker")
_HOST_TREES: Final = (
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/run",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/run",
)
_HOST_FOLDERS: Final = ("/", "/bin", "/home", "/lib", "/lib64", "/opt", "/sbin", "/usr", "/var", "/var/lib")
_IMAGE_TREES: Final = (
    *(
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/sbin",
    ),
    *("/sys", "/tmp", "/usr", "/var"),  # noqa: S108  # names of the image, nothing is written there
)
_SOCKETS: Final = re.compile(r"(?:.*/)?(?:docker|containerd|podman|buildkitd|crio)[^/]*\.sock")


def resolve_runtime(
    config: Config,
    facts: HostFacts,
    tools: Sequence[ResolvedTool],
    sidecars: tuple[Sidecar, ...],
    problems: list[Problem],
) -> Runtime:
    """Fill in Runtime; what is wrong is added to `problems`."""
    uid, gid = _ids(config, facts)
    exposure = _exposure(config, facts, tools, problems)
    limits = config.resources
    level = Level(config.security.level)
    if level is Level.LOCKED and facts.uid not in (0, uid):
        message = f"the level locked runs as you, {facts.uid}: what is secret could not be read by {uid}"
        problems.append(config.source.problem(("user", "uid"), message, hint="leave `user.uid` out"))
    return Runtime(
        project=config.name,
        hostname=config.hostname,
        user=config.user.name,
        uid=uid,
        gid=gid,
        environment=_environment(config, uid, gid, tools) | _web_environment(exposure),
        ports=_ports(config, tools, problems),
        bind=config.bind,
        mounts=_mounts(config, facts, problems),
        memory=size_in_bytes(limits.memory) if limits.memory else None,
        cpus=limits.cpus,
        shm=size_in_bytes(limits.shm),
        pids=limits.pids,
        authorized_keys=config.ssh.authorized_keys or (),
        level=level,
        closed=("ssh",) if _without_sshd(config) else (),
        exposure=exposure,
        sidecars=sidecars,
        hooks=tuple(config.hooks.make()),
        dotfiles=_dotfiles(config, facts),
        env_files=tuple(expand_path(path, facts) for path in config.env_file),
        env_files_named="env_file" in config.model_fields_set,
    )


def _dotfiles(config: Config, facts: HostFacts) -> Dotfiles | None:
    asked = config.dotfiles
    if asked.git is None and asked.path is None:
        return None
    path = expand_path(asked.path, facts) if asked.path is not None else None
    return Dotfiles(git=asked.git, path=path, timeout_s=asked.timeout)


def expand_path(path: str, facts: HostFacts) -> str:
    """A path of the config as an absolute one: below the home, or relative to the workspace folder."""
    if path == "~" or path.startswith("~/"):
        path = facts.home + path[1:]
    whole = posixpath.normpath(posixpath.join(facts.workspace, path))
    return "/" + whole.lstrip("/")  # POSIX lets two slashes at the start mean something else, Linux does not


def _ids(config: Config, facts: HostFacts) -> tuple[int, int]:
    """The caller's own ids, so that files of bind mounts belong to the right user; never those of root."""
    uid = config.user.uid or facts.uid or DEFAULT_ID
    if uid == facts.uid:
        return uid, facts.gid or DEFAULT_ID
    return uid, uid


def switched_off(config: Config) -> tuple[str, ...]:
    """Services of the image that this workstation does not start."""
    ingest = ("ingest",) if config.framework.bundled and config.framework.ingest is False else ()
    return (*ingest, *(("sshd",) if _without_sshd(config) else ()))


def _without_sshd(config: Config) -> bool:
    """At the level `locked` there is no server behind a door that is shut."""
    return config.security.level == Level.LOCKED.value and not config.ports.ssh.published


def _environment(config: Config, uid: int, gid: int, tools: Sequence[ResolvedTool]) -> dict[str, str]:
    values = dict(config.environment)
    values |= {"DEVBOX_UID": str(uid), "DEVBOX_GID": str(gid), "TZ": config.timezone, "LANG": config.locale}
    values["ZSH_THEME"] = config.shell.theme
    if off := switched_off(config):
        values["DEVBOX_OFF"] = " ".join(off)
    if any("vnc" in tool.ports for tool in tools):
        desktop = config.desktop
        values |= {
            "DEVBOX_GEOMETRY": desktop.geometry,
            "DEVBOX_DEPTH": str(desktop.depth),
            "DEVBOX_DPI": str(desktop.dpi),
            "DEVBOX_OPENGL": "1" if desktop.opengl else "0",
        }
        values |= _chosen_for_hands_and_eyes(desktop)
    return dict(sorted(values.items()))


def _chosen_for_hands_and_eyes(desktop: Desktop) -> dict[str, str]:
    """Only what was chosen: a workstation without is the same container as before there was a choice."""
    values = {"DEVBOX_KEYBOARD": desktop.keyboard} if desktop.keyboard else {}
    if desktop.scale != 1:  # GTK and Qt have no other way to be told before the first window
        values |= dict.fromkeys(("DEVBOX_SCALE", "GDK_SCALE", "QT_SCALE_FACTOR"), str(desktop.scale))
    return values


def _exposure(
    config: Config, facts: HostFacts, tools: Iterable[ResolvedTool], problems: list[Problem]
) -> Exposure | None:
    asked = config.expose
    if not asked.enabled:
        return None
    if not (config.ports.web.published and any("web" in tool.ports for tool in tools)):
        message = "there is no web desktop to expose"
        hint = "a desktop profile with `ports.web` has one; SSH to a headless one goes through a tunnel of your own"
        problems.append(config.source.problem(("expose",), message, hint=hint, of_key=True))
    return Exposure(
        address=asked.address,
        name=next(iter(asked.names), None),
        names=asked.names or ((facts.hostname,) if facts.hostname else ()),
        ssh=asked.ssh,
        certificate=expand_path(asked.certificate, facts) if asked.certificate else None,
        key=expand_path(asked.key, facts) if asked.key else None,
    )


def _web_environment(exposure: Exposure | None) -> dict[str, str]:
    if exposure is None:
        return {}
    names = {"DEVBOX_WEB_NAMES": " ".join(exposure.names)} if exposure.names else {}
    return {"DEVBOX_EXPOSED": "1", **names}


# ------------------------------------------------------------------------------------------------------ ports


def _ports(config: Config, tools: Iterable[ResolvedTool], problems: list[Problem]) -> tuple[PortRequest, ...]:
    inside = {name: port for tool in tools for name, port in tool.ports.items()}
    taken = {number: name for name, number in inside.items()}
    asked: dict[int, str] = {}
    found: list[tuple[Path, PortRequest]] = [(("ports", port.name), port) for port in _tool_ports(config, inside)]
    for path, port in _dev_ports(config):
        if port.container in taken:
            message = f"port {port.container} of the workstation is taken by {taken[port.container]}"
            problems.append(config.source.problem(path, message, hint="choose another one"))
            continue  # that both ask for one port of this machine, too, is the same mistake
        taken[port.container] = port.name
        found.append((path, port))
    for path, port in found:
        if asked.setdefault(port.host, port.name) != port.name:
            message = f"{asked[port.host]} and {port.name} both ask for port {port.host} of this machine"
            problems.append(config.source.problem(path, message, hint="give one of them another number"))
    return tuple(port for _, port in found)


def _tool_ports(config: Config, inside: Mapping[str, int]) -> Iterator[PortRequest]:
    choices = {"vnc": config.ports.vnc, "web": config.ports.web, "ssh": config.ports.ssh}
    for name, container in sorted(inside.items(), key=lambda item: item[1]):
        choice = choices.get(name)
        if choice is None:
            yield PortRequest(name=name, container=container, host=container, pinned=False)
        elif choice.published:
            yield PortRequest(name=name, container=container, host=choice.host or container, pinned=choice.pinned)


def _dev_ports(config: Config) -> Iterator[tuple[Path, PortRequest]]:
    """The ports for development servers, each with its place in the config."""
    for index, choice in enumerate(config.ports.dev):
        name = f"dev-{choice.container}" if index else "dev"
        host = choice.host or choice.container
        port = PortRequest(name=name, container=choice.container, host=host, pinned=choice.pinned)
        yield ("ports", "dev", index), port


# ----------------------------------------------------------------------------------------------------- mounts


def _mounts(config: Config, facts: HostFacts, problems: list[Problem]) -> tuple[Mount, ...]:
    found: list[Mount] = []
    for index, choice in enumerate(config.mounts):
        source = expand_path(choice.source, facts)
        if reason := _source_refusal(source):
            problems.append(_mount_problem(config, index, "source", reason))
        if reason := _target_refusal(choice.target, config.user.name, found):
            problems.append(_mount_problem(config, index, "target", reason))
        found.append(Mount(source=source, target=choice.target, read_only=choice.read_only))
    return tuple(found)


def _mount_problem(config: Config, index: int, key: str, reason: tuple[str, str]) -> Problem:
    message, hint = reason
    return config.source.problem(("mounts", index, key), message, hint=hint)


def _source_refusal(source: str) -> tuple[str, str] | None:
    if _SOCKETS.fullmatch(source):
        return "the socket of a container engine cannot be mounted", "it would give root on this machine"
    if source in _HOST_FOLDERS or _within(source, _HOST_TREES):
        return f"{source} of this machine cannot be mounted", "mount a folder of the workspace or of your home"
    return None


def _target_refusal(target: str, user: str, others: Sequence[Mount]) -> tuple[str, str] | None:
    home = f"/home/{user}"
    if target in ("/", "/home") or _within(target, _IMAGE_TREES):
        return f"{target} would hide a folder of the system", f"take a folder such as {home}/data or /srv/data"
    if target in (home, f"{home}/projects"):
        return f"{target} is a volume of the workstation", f"take a folder below it, such as {target}/data"
    if any(mount.target == target for mount in others):
        return f"{target} is taken by another mount", "every mount needs a target of its own"
    return None


def _within(path: str, trees: Iterable[str]) -> bool:
    return any(path == tree or path.startswith(f"{tree}/") for tree in trees)
