"""A machine over there, and two ways to its ports: the tunnel of devbox, and `ssh -L` of OpenSSH, to the same server.

Owns what runs there and the two ways; measures nothing but what went through them. Each way has an address of its own
on this machine's loopback, so that the ports have the same number on both.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.far_end import give, take
from builder.adapters.clock import wait_for
from builder.adapters.remote.address import parse_address
from builder.adapters.remote.client import Talk, open_tunnel
from builder.errors import NotReadyError

if TYPE_CHECKING:
    from tests.engine.ssh_host import SshHost

FAR_END: Final = Path(__file__).with_name("far_end.py")
PORT: Final = 7070
# Of this run alone: another one may be on this machine.
OURS, THEIRS = (f"127.77.{os.getpid() % 250}.{number}" for number in (1, 2))
WAYS: Final = (OURS, THEIRS)
START_S: Final = 20
ANSWER_S: Final = 30
FLOWS: Final = "it flows\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A port, and whose it is as the machine over there knows it."""

    host: str
    port: int


FAR_DOOR: Final = Door(host="127.0.0.1", port=PORT)


@contextmanager
def far_end(machine: SshHost) -> Iterator[None]:
    """The server of FAR_DOOR, on the loopback of that machine."""
    argv = [f"--net=/run/netns/{machine.namespace}", sys.executable, str(FAR_END), FAR_DOOR.host, str(PORT)]
    process = subprocess.Popen(["nsenter", *argv])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def both_ways(machine: SshHost, environment: Mapping[str, str], doors: list[Door]) -> Iterator[None]:
    """The doors, open on both addresses. The tunnel may run already, and runs on."""
    talk = Talk(tell=lambda _: None, ask=lambda _text, _secret: None)
    tunnel = open_tunnel(parse_address(machine.url, where="bench"), environment, talk)
    try:
        for door in doors:
            if not tunnel.forward(OURS, door.port, door.port, host=door.host):
                raise NotReadyError(f"port {door.port} is taken", where=OURS)
        with _plain_forward(machine, doors):
            yield
    finally:
        for door in doors:
            tunnel.drop(OURS, door.port)


@contextmanager
def _plain_forward(machine: SshHost, doors: list[Door]) -> Iterator[None]:
    """OpenSSH's client as it comes, without a file of settings."""
    settings = {
        "ExitOnForwardFailure": "yes",
        "IdentityFile": str(machine.home / ".ssh/id_ed25519"),
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(machine.folder / "known"),
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    forwards = [word for door in doors for word in ("-L", f"{THEIRS}:{door.port}:{door.host}:{door.port}")]
    process = subprocess.Popen(
        ["ssh", "-F", "none", "-N", *options, *forwards, "-p", str(machine.port), f"root@{machine.address}"]
    )

    def knock() -> bool | None:
        if process.poll() is not None:
            raise NotReadyError(f"ssh -L ended with {process.returncode}", where=THEIRS)
        with suppress(OSError), socket.create_connection((THEIRS, doors[0].port), ANSWER_S):
            return True
        return None

    try:
        wait_for("ssh -L to listen", knock, deadline_s=START_S, interval_s=0.05)
        yield
    finally:
        process.terminate()
        process.wait()


# ------------------------------------------------------------------------------------------- what goes through them


@contextmanager
def talking(way: str, line: str) -> Iterator[socket.socket]:
    with socket.create_connection((way, PORT), ANSWER_S) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(f"{line}\n".encode())
        yield wire


def fetch(way: str, count: int) -> float:
    """MB/s of `count` bytes from there."""
    with talking(way, f"give {count}") as wire:
        began = time.perf_counter()
        take(wire, count)
        return count / (time.perf_counter() - began) / 1e6


def send(way: str, count: int) -> float:
    """MB/s of `count` bytes to there, until the last has come."""
    with talking(way, f"take {count}") as wire:
        began = time.perf_counter()
        give(wire, count)
        take(wire, 1)
        return count / (time.perf_counter() - began) / 1e6


def round_trip(way: str, times: int) -> float:
    """Milliseconds of a byte there and back, the median of so many."""
    with talking(way, "echo") as wire:
        return 1000 * statistics.median(_bounce(wire) for _ in range(times))


def _bounce(wire: socket.socket) -> float:
    began = time.perf_counter()
    wire.sendall(b".")
    take(wire, 1)
    return time.perf_counter() - began


@contextmanager
def streaming(way: str) -> Iterator[None]:
    """Beside whatever is measured meanwhile: bytes from there, as fast as they come, taken by a process of its own."""
    argv = [sys.executable, "-c", "import sys; from bench.far import drink; drink(sys.argv[1])", way]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # for the types: it is a pipe
            if process.stdout.readline() != FLOWS:
                raise NotReadyError("no stream began", where=way)
            yield
        finally:
            process.kill()


def drink(way: str) -> None:
    """Until it is killed; says when the stream is in full flow."""
    with talking(way, f"give {1 << 40}") as wire:
        take(wire, 4 << 20)
        sys.stdout.write(FLOWS)
        sys.stdout.flush()
        take(wire, 1 << 40)
