"""What it takes to get an engine on a machine: from what was found there, to the commands that are missing.

Only for Debian and Ubuntu, whose own package is installed. Runs nothing; every command is shown before it is run, and
what a machine has is left as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from builder.errors import HostError

PACKAGE: Final = "docker.io"
GROUP: Final = "docker"
OLDEST: Final[Mapping[str, tuple[int, ...]]] = {"debian": (11,), "ubuntu": (20, 4)}  # whose engine is 20.10 or newer
LOCK_S: Final = 600  # for whoever installs something there, mostly its own upgrades
UNASKED: Final = ("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
APT: Final = (*UNASKED, "apt-get")
# Waits for who installs something, and asks nothing of a file that an earlier engine left changed.
SETTLED: Final = (
    *("-o", f"DPkg::Lock::Timeout={LOCK_S}"),
    *("-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold"),
)
BY_HAND: Final = "install Docker Engine 20.10 or newer as its makers say, and put your user into its group"


class Root(Enum):
    """How a user becomes root."""

    ITSELF = "is root"
    FREELY = "by sudo"
    ASKED = "by sudo, with a password"
    NEVER = "not at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a machine has."""

    where: str  # user@host:port
    user: str
    root: Root
    system: str  # as a person knows it
    distribution: str  # ID of os-release(5)
    version: tuple[int, ...]  # empty where there is none, as in Debian's unstable
    halfway: bool  # an installation that was cut off, of whatever package
    engine: bool  # the program, or whatever else listens on an engine's socket
    socket: str  # its path; empty where there is none
    listens: bool  # somebody, on that socket
    usable: bool  # the socket, by this user
    socket_group: str  # its name
    groups: frozenset[str]  # of this login
    member: frozenset[str]  # what a new login would have
    systemd: bool
    script: bool  # one of init's starts it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command for root on that machine."""

    argv: tuple[str, ...]
    why: str
    deadline_s: float

    def show(self, root: Root) -> str:
        """As a person would type it."""
        return shlex.join(self.argv if root is Root.ITSELF else ("sudo", *self.argv))


def parse_findings(where: str, facts: Mapping[str, str]) -> Findings:
    """From what the survey of `adapters.remote.orders` tells. Raises KeyError where it tells less."""
    socket, listens = facts["socket"], find_listener(facts)
    numbers = facts["version"].split(".")
    return Findings(
        where=where,
        user=facts["user"],
        root=Root.ITSELF if facts["uid"] == "0" else Root[facts["sudo"]],
        system=facts["name"] or facts["system"],
        distribution=facts["id"],
        version=tuple(int(number) for number in numbers if number.isdecimal()),
        halfway=facts["halfway"] == "yes",
        engine=bool(facts["engine"]) or listens,
        socket=socket,
        listens=listens,
        usable=facts["usable"] == "yes",
        socket_group=facts["group"],
        groups=frozenset(facts["groups"].split()),
        member=frozenset(facts["member"].split()),
        systemd=facts["systemd"] == "yes",
        script=facts["script"] == "yes",
    )


def find_listener(facts: Mapping[str, str]) -> bool:
    """Whether somebody listens on the engine's socket: that outlives an engine that was killed. /var/run is /run."""
    socket = facts["socket"].removeprefix("/var")
    return bool(socket) and socket in {path.removeprefix("/var") for path in facts["listening"].split()}


def make_orders(found: Findings) -> tuple[Order, ...]:
    """What is missing, in this order; nothing on a machine that has it all. Raises HostError for what is not done by
    commands that can be shown before, or not by this user."""
    orders = (*_finish(found), *_install(found), *_start(found), *_admit(found))
    if orders and found.root is Root.NEVER:
        wanted = "; ".join(order.show(Root.ITSELF) for order in orders)
        raise HostError(
            f"{found.user} cannot become root there: there is no sudo",
            where=found.where,
            hint=f"log in as root (ssh://root@...), or let who runs it do this as root: {wanted}",
        )
    return orders


def _finish(found: Findings) -> tuple[Order, ...]:
    """An earlier one that broke off may have left the engine's program there, and nothing that starts it."""
    if found.listens or not found.halfway:
        return ()
    argv = (*UNASKED, "dpkg", "--force-confdef", "--force-confold", "--configure", "--pending")
    return (Order(argv=argv, why="finish an installation that was cut off", deadline_s=LOCK_S + 1200),)


def _install(found: Findings) -> tuple[Order, ...]:
    if found.engine:
        return ()
    oldest = OLDEST.get(found.distribution)
    if oldest is None:
        raise HostError(
            f"{found.system} is neither Debian nor Ubuntu: devbox installs no engine there",
            where=found.where,
            hint=BY_HAND,
        )
    if found.version and found.version < oldest:
        raise HostError(
            f"the engine that {found.system} has is older than 20.10",
            where=found.where,
            hint=f"upgrade it; or {BY_HAND}",
        )
    return (
        Order(argv=(*APT, "update"), why="see what its mirrors have", deadline_s=LOCK_S),
        Order(
            argv=(*APT, *SETTLED, "install", "--yes", PACKAGE),
            why=f"install the engine of {found.distribution.capitalize()}",
            deadline_s=LOCK_S + 1200,
        ),
    )


def _start(found: Findings) -> tuple[Order, ...]:
    if found.listens:
        return ()
    if found.systemd:
        argv = ("systemctl", "enable", "--now", "docker")
        return (Order(argv=argv, why="start it, now and with the machine", deadline_s=120),)
    if found.engine and not found.script:
        raise HostError(
            "an engine is installed there, and neither systemd nor a script in /etc/init.d starts it",
            where=found.where,
            hint="start `dockerd` as root there, by what starts programs on that machine",
        )
    why = "start it, now; with the machine if that runs the scripts of /etc/init.d"
    return (Order(argv=("service", "docker", "start"), why=why, deadline_s=120),)


def _admit(found: Findings) -> tuple[Order, ...]:
    """Into the group of the socket: that of a running engine may be another one than Docker's."""
    if found.root is Root.ITSELF or (found.listens and found.usable):
        return ()
    group = (found.socket_group or GROUP) if found.listens else GROUP
    if group == "root":
        raise HostError(
            f"{found.socket} is root's alone",
            where=found.where,
            hint='`"group": "docker"` in /etc/docker/daemon.json there, and a restart of the engine; or ssh://root@...',
        )
    if group not in found.member:
        why = "let this user use it, from the next login on: that is as much as being root there"
        return (Order(argv=("usermod", "--append", "--groups", group, found.user), why=why, deadline_s=30),)
    if found.listens and group in found.groups:
        raise HostError(
            f"{found.user} is in the group {group}, and may not use {found.socket} all the same",
            where=found.where,
            hint=f"`ls -l {found.socket}` there shows who may",
        )
    return ()
