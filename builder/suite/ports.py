"""Group `ports`: what listens inside, and on which address of this machine it is published."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure
from builder.suite.subject import exec_hint

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

LISTEN: Final = "0A"  # include/net/tcp_states.h
ENGINE_DNS: Final = "127.0.0.11"  # the engine's own name server listens in the container's network


def make_cases(_: Resolved) -> Iterator[Case]:
    yield from (listening, published, bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    address: str
    port: int
    uid: int


def read_listeners(text: str) -> Iterator[Listener]:
    """The listening sockets of /proc/net/tcp and tcp6 (proc(5)); addresses are words in the host's byte order."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8 or words[3] != LISTEN:
            continue
        address, _, port = words[1].partition(":")
        raw = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
        yield Listener(address=str(ipaddress.ip_address(raw)), port=int(port, 16), uid=int(words[7]))


@case("ports.listening", "exactly the declared ports are listened on")
def listening(subject: Subject) -> str:
    """A development server may be up or down; everything else that listens was declared by a tool."""
    found = list(read_listeners(subject.output("cat", "/proc/net/tcp", "/proc/net/tcp6", root=True)))
    found = [item for item in found if item.address != ENGINE_DNS]
    declared = set(subject.resolved.doors.values())
    allowed = declared | {port.container for port in subject.resolved.runtime.ports}
    here = {item.port for item in found}
    extra = [f"{item.address}:{item.port} of uid {item.uid}" for item in found if item.port not in allowed]
    wrong = [f"{item} besides" for item in extra] + [f"nothing on {port}" for port in sorted(declared - here)]
    if wrong:
        look = exec_hint("ss", "-ltn")
        raise CheckFailure(f"ports {', '.join(map(str, sorted(declared)))} and no other", ", ".join(wrong), look)
    return ", ".join(map(str, sorted(here)))


@case("ports.published", "exactly the ports of devbox.yaml are published")
def published(subject: Subject) -> None:
    wanted = {port.container for port in subject.resolved.runtime.ports}
    found = set(_bindings(subject))
    if wanted != found:
        raise CheckFailure(_listed(wanted), _listed(found), "devbox status")


@case("ports.bind", "they are published on the addresses of devbox.yaml only")
def bound(subject: Subject) -> str:
    """Of IPv4 and IPv6: one that is not exposed is on a loopback address, and on no other besides."""
    runtime = subject.resolved.runtime
    wanted = {port.container: runtime.bind_of(port.name) for port in runtime.ports}
    wrong = [
        f"{port} on {at}"
        for port, places in sorted(_bindings(subject).items())
        for at in places
        if at != wanted.get(port, runtime.bind)
    ]
    if wrong:
        exposed = "".join(f", {port} on {at}" for port, at in sorted(wanted.items()) if at != runtime.bind)
        raise CheckFailure(f"every port on {runtime.bind}{exposed}", ", ".join(wrong), "docker ps")
    return ", ".join(sorted(set(wanted.values())))


def _bindings(subject: Subject) -> Mapping[int, tuple[str, ...]]:
    ports = subject.inspect()["NetworkSettings"]["Ports"] or {}
    found = {
        int(name.partition("/")[0]): tuple(item["HostIp"] for item in places or ()) for name, places in ports.items()
    }
    return {port: places for port, places in found.items() if places}


def _listed(ports: set[int]) -> str:
    return f"ports {', '.join(map(str, sorted(ports))) or 'none'}"
