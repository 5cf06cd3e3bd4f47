"""Ways into a running workstation: a shell, a command, its log, its address, its password, its picture."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from builder.errors import ConfigError, HostError, NotReadyError
from builder.tasks.lifecycle import find_running, find_workstation
from builder.tasks.owner import follow
from builder.tasks.ready import wait_ready
from builder.tasks.sidecars import find_beside
from builder.tasks.status import DOORS, make_endpoints
from builder.tasks.up import restart_web

if TYPE_CHECKING:
    from builder.model import Keys, Secret
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

LOG_FOLDER: Final = "/run/devbox/log"
TAKE_PASSWORD: Final = "/usr/lib/devbox/take-password"  # noqa: S105  # a program
LOGIN_SHELL: Final = ("/bin/zsh", "-l")


def run_inside(
    context: Context, project: str, user: str, argv: Sequence[str], *, workdir: str, environment: Mapping[str, str]
) -> int:
    """Run `argv` (a login shell when empty) on this terminal as `user`; its exit code.

    The engine sets none of the variables that a login would; they are those of the image's `as-user`. Nor does it know
    those that are handed in.
    """
    container = find_running(context, project)
    handed = context.handed.environment(project, context.workspace.root)
    given = {name: value.reveal() for name, value in handed.items()}
    login = {**given, "HOME": f"/home/{user}", "USER": user, "LOGNAME": user, "SHELL": LOGIN_SHELL[0]}
    return context.engine().attach(
        container.id, list(argv) or LOGIN_SHELL, user=user, workdir=workdir, environment={**login, **environment}
    )


def read_logs(
    context: Context, project: str, *, service: str | None, follow: bool, tail: int | None
) -> Iterator[bytes]:
    """What the workstation wrote; of one service, from its own file; of a sidecar, what that wrote. Raises ConfigError
    for an unknown service."""
    if service is None:
        container = find_workstation(context, project)
        yield from context.engine().logs(container.id, follow=follow, tail=tail)
        return
    beside = find_beside(context, project)
    if service in beside:
        yield from context.engine().logs(beside[service].id, follow=follow, tail=tail)
        return
    container = find_running(context, project)
    services = [*_services(context, container), *beside]
    if service not in services:
        raise ConfigError(f"there is no service {service!r}", hint=f"the services are {', '.join(services)}")
    command = ["tail", *(["-F"] if follow else []), "-n", str(tail if tail is not None else "+1")]
    yield from context.engine().run_stream(container.id, [*command, f"{LOG_FOLDER}/{service}/current"])


def _services(context: Context, container: ContainerView) -> list[str]:
    result = context.engine().run(container.id, ["ls", LOG_FOLDER])
    return sorted(result.stdout.decode().split())


def find_endpoint(context: Context, project: str, door: str) -> str:
    """The address of `door` (vnc, web, ssh, dev) on this machine."""
    endpoints = make_endpoints(find_running(context, project))
    if door not in endpoints:
        raise ConfigError(f"this workstation has no {door}", hint=f"it has {', '.join(sorted(endpoints)) or 'nothing'}")
    return endpoints[door]


def find_place(context: Context, project: str, door: str) -> tuple[str, int]:
    """Address and port on this machine that lead to `door` (vnc, web or ssh)."""
    container = find_running(context, project)
    inside = next((port for port, name in DOORS.items() if name == door), 0)
    if inside not in container.ports:
        raise HostError(f"{container.name} publishes no port for {door}", hint=f"set ports.{door} in devbox.yaml")
    return container.address(inside), container.ports[inside]


def find_password(keys: Keys, door: str) -> Secret:
    """The password that opens `door` (vnc or web)."""
    if door == "vnc":
        return keys.password
    if keys.web_password is None:
        raise ConfigError(
            "this workstation is not exposed: its web desktop takes the VNC password",
            hint="`devbox password` prints that; `expose: true` in devbox.yaml lets other machines in",
        )
    return keys.web_password


def renew_password(context: Context, project: str) -> Secret:
    """Make a new VNC password. A running desktop takes it over at once: init's own helper reads the file again."""
    with context.workspace.lock("password"):
        follow(context, project)
        secret = context.keys.rotate_password(project, context.workspace.root)
        container = context.engine().find_container(project)
        if container is not None and container.state == "running":
            context.engine().give_secrets(project, context.keys.secrets(project, context.workspace.root))
            result = context.engine().run(container.id, [TAKE_PASSWORD])
            if result.code != 0:
                raise NotReadyError(
                    "the running desktop did not take the new password",
                    detail=result.stderr.decode(errors="replace"),
                    hint="`devbox stop` and `devbox start` make it read the file",
                )
        return secret


def renew_web_password(context: Context, project: str) -> Secret:
    """Make a new web password. The web door starts anew for it, and with that every session there ends."""
    with context.workspace.lock("password"):
        follow(context, project)
        secret = context.keys.rotate_web_password(project, context.workspace.root)
        container = context.engine().find_container(project)
        if container is not None and container.state == "running":
            restart_web(context, container)
            wait_ready(context, container.name, aloud=False)
        return secret


def ssh_command(
    keys: Keys, user: str, place: tuple[str, int], *, forward_agent: bool = False, command: Sequence[str] = ()
) -> list[str]:
    """The OpenSSH command that logs in, or runs `command` there, whatever the person's own settings say."""
    settings = {**_ssh_settings(keys), "ForwardAgent": "yes" if forward_agent else "no"}
    identity = ["-i", keys.identity] if keys.identity else []
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return [
        "ssh",
        "-p",
        str(place[1]),
        *identity,
        *words,
        f"{user}@{place[0]}",
        *([shlex.join(command)] if command else []),
    ]


def render_ssh_config(
    keys: Keys, project: str, user: str, place: tuple[str, int], *, opener: Sequence[str] = ()
) -> str:
    """A section for ~/.ssh/config, with which any program that speaks SSH finds the workstation by its name. `opener`
    is a command that OpenSSH runs before: it opens the tunnel to another machine where none runs."""
    settings = {"HostName": place[0], "Port": str(place[1]), "User": user}
    settings |= {"IdentityFile": _ssh_word(keys.identity)} if keys.identity else {}
    lines = [f"    {name} {value}" for name, value in {**settings, **_ssh_settings(keys)}.items()]
    opens = shlex.join(opener).replace("%", "%%")
    if opens and opens.isprintable() and not set(opens) & set('"\\'):  # what a line of ssh_config cannot hold
        lines.append(f'Match originalhost {project} exec "{opens}"')
    return "\n".join([f"Host {project}", *lines])


def _ssh_settings(keys: Keys) -> dict[str, str]:
    """The host key is pinned in a file of this workstation alone: another one is refused, and none is ever added."""
    pinned = {
        "UserKnownHostsFile": _ssh_word(keys.known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "ProxyCommand": "none",  # and no ProxyJump either, whatever `Host *` says: the port is on this machine
    }
    return {**pinned, "UpdateHostKeys": "no", **({"IdentitiesOnly": "yes"} if keys.identity else {})}


def _ssh_word(text: str) -> str:
    """ssh_config(5) parts its values at blanks, unless they are quoted."""
    return f'"{text}"' if " " in text else text
