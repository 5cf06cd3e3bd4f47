"""An engine that has nothing, for cold builds: takes root.

Owns a second dockerd with folders, bridge and address range of its own. It runs without touching the firewall rules of
the first one; the two rules that its builds need are added here and taken away again.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.stand import Workstation, make_environment, run
from builder.adapters.clock import wait_for
from builder.adapters.engine_look import look_containers

BRIDGE: Final = f"devb{os.getpid() % 1_000_000}"
RANGE: Final = "10.213.0.0/24"
POOL: Final = "base=10.213.128.0/17,size=24"
GRACE_S: Final = 20


def remote_workstation(folder: Path, host: str) -> Workstation:
    """A workstation on that engine, with a cache of its own, empty like the engine."""
    environment = make_environment(folder, DOCKER_HOST=host, XDG_CACHE_HOME=str(folder / "cache"))
    workspace = folder / f"bench-{os.getpid()}-cold"
    workspace.mkdir()
    workstation = Workstation(folder=workspace, environment=environment)
    # Chosen before a build of a minute: where nobody else looks for a free one meanwhile.
    first = 20_000 + os.getpid() % 20_000
    workstation.write(ports={"vnc": first, "web": first + 1, "ssh": first + 2, "dev": False})
    return workstation


@contextmanager
def open_engine(folder: Path) -> Iterator[str]:
    """A dockerd of our own; the address it answers at."""
    host = f"unix://{folder / 'docker.sock'}"
    with ExitStack() as stack:
        stack.enter_context(_bridge())
        log = stack.enter_context((folder / "dockerd.log").open("w"))
        process = subprocess.Popen(
            [
                *("dockerd", "--host", host, "--pidfile", str(folder / "pid"), "--bridge", BRIDGE, "--iptables=false"),
                *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
                *("--default-address-pool", POOL),
                *("--containerd-namespace", BRIDGE, "--containerd-plugins-namespace", f"{BRIDGE}-plugins"),
            ],
            stdout=log,
            stderr=log,
        )
        stack.callback(_end, process)
        wait_for("a second dockerd to answer", lambda: _answers(host), deadline_s=60, interval_s=0.2)
        yield host


def _answers(host: str) -> bool | None:
    return True if look_containers({"DOCKER_HOST": host}, "none") is not None else None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    time.sleep(1)  # its containerd and mounts end a moment after it


@contextmanager
def _bridge() -> Iterator[None]:
    rules = (
        ["-t", "nat", "POSTROUTING", "-s", RANGE, "!", "-o", BRIDGE, "-j", "MASQUERADE"],
        ["-t", "filter", "FORWARD", "-i", BRIDGE, "-j", "ACCEPT"],
        ["-t", "filter", "FORWARD", "-o", BRIDGE, "-j", "ACCEPT"],
    )
    with ExitStack() as stack:
        _do("ip", "link", "add", BRIDGE, "type", "bridge")
        stack.callback(_do, "ip", "link", "delete", BRIDGE)
        _do("ip", "address", "add", RANGE.replace(".0/", ".1/"), "dev", BRIDGE)
        _do("ip", "link", "set", BRIDGE, "up")
        for table, name, chain, *rule in rules:
            _do("iptables", table, name, "--insert", chain, *rule)
            stack.callback(_do, "iptables", table, name, "--delete", chain, *rule)
        yield


def _do(*argv: str) -> None:
    run(list(argv), os.environ)
