"""Cycles of `up` and `down` leave nothing: on the engine, on the disk, in a process that makes many of them.

Eight cycles in `make test`, a hundred in `make test-long`; the figures are printed (`pytest -rP` shows them). The
workstation is headless: what could be left is the same.
"""

from __future__ import annotations

import gc
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from builder.adapters.runlog import KEPT
from builder.tasks.interfaces import Context
from builder.tasks.lifecycle import take_down
from builder.tasks.up import bring_up
from builder.wiring import make_context
from tests.engine.conftest import Workstation, make_factory
from tests.engine.relay import Relay, relay

CONFIG = "profile: headless\n"
CYCLES = [8, pytest.param(100, marks=pytest.mark.long)]
MAX_GROWTH_MB = 8  # of a process's memory in all cycles: what the allocator keeps, and no more with more cycles
WARM = 3  # cycles in which a process imports, connects and fills its caches
# What a cycle may ask for that changes something, besides what names an object of ours.
HARMLESS = r"POST /exec/|POST /(?:containers|networks|volumes)/create"


@dataclass(frozen=True, slots=True)
class Scene:
    """One workspace, the engine behind a relay, and folders of its own for all that devbox keeps or drops."""

    workstation: Workstation
    relay: Relay
    engine: Engine
    api: Any  # docker.APIClient: its types know half of it
    temporary: Path
    state: Path

    @property
    def project(self) -> str:
        return self.workstation.folder.name

    @contextmanager
    def events(self) -> Iterator[list[dict[str, Any]]]:
        """What happens on the engine to whatever carries our project's name, as it happens: it keeps the last 256 only,
        of everybody."""
        seen: list[dict[str, Any]] = []
        stream = self.api.events(decode=True)

        def listen() -> None:
            seen.extend(item for item in stream if self.project in json.dumps(item))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            stream.close()
            thread.join()

    def left(self) -> dict[str, list[str]]:
        """What is there of ours, by kind."""
        own = f"{self.project}[-_]"
        return {
            "containers": [
                item["Id"] for item in self.api.containers(all=True) if re.match(f"/{own}", item["Names"][0])
            ],
            "networks": [item["Name"] for item in self.api.networks() if re.match(own, item["Name"])],
            "volumes": [item["Name"] for item in self.api.volumes()["Volumes"] or () if re.match(own, item["Name"])],
            "temporary files": [str(path) for path in self.temporary.rglob("*")],
        }


@pytest.fixture
def scene(tmp_path: Path, session_folder: Path, environment: Mapping[str, str], engine: Engine) -> Iterator[Scene]:
    temporary, state = tmp_path / "tmp", tmp_path / "state"
    temporary.mkdir()
    with relay(tmp_path, str(engine.host.socket)) as door:
        ours = {**environment, "DOCKER_HOST": door.host, "TMPDIR": str(temporary), "XDG_STATE_HOME": str(state)}
        for make in make_factory(session_folder, ours):
            workstation = make(f"leaks-{os.getpid()}", CONFIG)
            api = docker.APIClient(base_url=engine.host.url)
            yield Scene(workstation, door, engine, api, temporary, state)
            api.close()


def engine_process(engine: Engine) -> Path:
    """The engine's folder in /proc, by its socket."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(engine.host.socket))
        pid, _, _ = struct.unpack("3i", wire.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Path(f"/proc/{pid}")


def open_files(process: Path) -> list[str]:
    """What the descriptors of a process lead to; one that is closed meanwhile is none."""
    found = []
    for path in (process / "fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def memory(process: Path) -> int:
    """Resident bytes."""
    return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def command_lines() -> str:
    return "\n".join(
        path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    )


@pytest.mark.parametrize("cycles", CYCLES)
def test_cycles_of_the_command_leave_nothing(cycles: int, scene: Scene) -> None:
    began, workstation = time.time(), scene.workstation
    process = engine_process(scene.engine)
    files, rendered, mounts = 0, set[str](), set[str]()
    volumes = {f"{scene.project}_home", f"{scene.project}_projects"}
    with scene.events() as events:
        for number in range(cycles):
            workstation.up()
            mounts |= find_mounts(scene)
            workstation.ok("down")
            if number == 0:
                files, rendered = len(open_files(process)), names(workstation.folder)
                scene.relay.requests.clear()  # the first looks for its base, and may build
        assert names(workstation.folder) == rendered
        assert (mounts, set(scene.left()["volumes"])) == (volumes, volumes)  # none without a name, none lost
        workstation.take_away()
        wait_for(
            "the last event",
            lambda: find_ids(events, "volume", "destroy") >= volumes or None,
            deadline_s=20,
            interval_s=0.1,
        )

    assert scene.left() == {"containers": [], "networks": [], "volumes": [], "temporary files": []}
    assert {path.name for path in (scene.state / "devbox").iterdir()} == {"runs"}
    assert len(list((scene.state / "devbox/runs").iterdir())) <= KEPT
    ids = {item["Actor"]["ID"] for item in events if item["Type"] == "container"}
    # Another one is made where somebody took the port between the look at it and the start.
    assert len(find_ids(events, "container", "start")) == cycles
    assert not [one for one in ids if one in command_lines()]  # a shim, a proxy
    for kind, number in (("container", len(ids)), ("network", cycles), ("volume", len(volumes))):
        made, gone = find_ids(events, kind, "create"), find_ids(events, kind, "destroy")
        assert (made, len(gone)) == (gone, number), kind
    refuse_strangers(scene, ids, events)
    held = [link for link in open_files(process) if any(one in link for one in ids)]
    tell(
        f"{cycles} cycles in {time.time() - began:.0f} s; files of the engine: {files} then {len(open_files(process))}"
    )
    assert held == []  # log, pipes; their number alone tells nothing of an engine that others use


def find_mounts(scene: Scene) -> set[str]:
    """The volumes that the running container has."""
    container = scene.engine.find_container(scene.project)
    assert container is not None
    return {item["Name"] for item in scene.engine.inspect(container.id)["Mounts"] if item["Type"] == "volume"}


def tell(figures: str) -> None:
    sys.stdout.write(f"{figures}\n")


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def find_ids(events: list[dict[str, Any]], kind: str, action: str) -> set[str]:
    """A volume is said to be created by each container that gets it."""
    return {item["Actor"]["ID"] for item in events if (item["Type"], item["Action"]) == (kind, action)}


def refuse_strangers(scene: Scene, ids: set[str], events: list[dict[str, Any]]) -> None:
    """Every request that could change something named an object of ours; nothing was built, pulled or imported."""
    networks = {item["Actor"]["ID"] for item in events if item["Type"] == "network"}
    ours = "|".join(map(re.escape, [scene.project, *ids, *networks]))
    allowed = re.compile(rf"{HARMLESS}|(?:POST|DELETE) /(?:containers|networks|volumes)/(?:{ours})")
    changing = scene.relay.asked("POST|PUT|DELETE|PATCH")
    assert len(changing) > 4 * (len(ids) - 1)
    assert [request for request in changing if not allowed.match(request)] == []


@pytest.mark.parametrize("cycles", CYCLES)
def test_cycles_in_one_process_leave_nothing_in_it(cycles: int, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a context and a connection for each act, as each verb has them."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, scene.workstation.environment[name])
    own = Path("/proc/self")
    before = (0, 0, 0)
    began = time.time()
    scene.workstation.started = True  # goes with its volumes, also where a cycle fails
    for number in range(cycles):
        if number == WARM:
            before = measure(own)
        bring_up(open_context(scene), fingerprint="")
        take_down(open_context(scene), scene.project)
    after = measure(own)

    grown = (after[2] - before[2]) / (1 << 20)
    tell(
        f"{cycles} cycles in {time.time() - began:.0f} s; files {before[0]} then {after[0]}, threads {before[1]} then "
        f"{after[1]}, memory {before[2] >> 20} MB and {grown:.1f} more"
    )
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert grown < MAX_GROWTH_MB


def open_context(scene: Scene) -> Context:
    """Past the relay, whose files and threads would count as ours."""
    environment = {**scene.workstation.environment, "DOCKER_HOST": scene.engine.host.url}
    return make_context(scene.workstation.folder, lambda event: None, environment)


def measure(own: Path) -> tuple[int, int, int]:
    """Files, threads, bytes, of what is still held."""
    gc.collect()
    return len(open_files(own)), threading.active_count(), memory(own)
