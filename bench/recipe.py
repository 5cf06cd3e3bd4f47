"""A container to start again and again, by the engine's bare API: ours and the naive one alike.

Owns the containers and volumes that a sample makes, and removes them. Measures nothing but the moment of the create.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import docker

from builder.errors import NotReadyError

LABELS: Final = {"dev.devbox.bench": "sample"}
VNC, WEB, SSH = 5901, 6080, 2222
PORTS: Final = (VNC, WEB, SSH)
REQUEST_S: Final = 120
LISTENING: Final = "0A"  # the state of a socket in /proc/net/tcp


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What `POST /containers/create` is asked for. Volumes are made anew for each container: a first start."""

    name: str  # ours | naive
    config: Mapping[str, Any]
    volumes: tuple[str, ...]  # where new ones are mounted
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One container of a recipe; times are of time.perf_counter."""

    recipe: Recipe
    id: str
    created: float  # just before the create was asked for
    started: float  # when the engine had answered to the start
    pid: int
    ports: Mapping[int, int]  # in the container -> on this machine's loopback

    def cpu_seconds(self) -> float:
        return float(self._stats()["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def cgroup_rss_mb(self) -> float:
        """Anonymous memory, each page counted once, as the kernel accounts it to the container."""
        found = self._stats()["memory_stats"]["stats"]
        return float(found.get("total_rss", found.get("anon", 0))) / 1e6

    def counted_mb(self) -> float:
        """As `docker stats` has it: with the page cache in use, without the part that can be dropped."""
        memory = self._stats()["memory_stats"]
        inactive = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
        return float(memory["usage"] - inactive) / 1e6

    def resident_mb(self) -> float:
        """Resident memory summed over all processes: a page that several share counts once for each of them."""
        table = api().top(self.id, "-eo pid,rss")
        column = table["Titles"].index("RSS")
        return sum(int(row[column]) for row in table["Processes"]) * 1024 / 1e6

    def listens(self, ports: tuple[int, ...]) -> bool:
        return listens_in(self.pid, ports)

    def _stats(self) -> dict[str, Any]:
        return cast("dict[str, Any]", api().stats(self.id, stream=False, one_shot=True))


def listens_in(pid: int, ports: tuple[int, ...]) -> bool:
    """Whether something listens there, where that process is. Read from /proc: a connection would be work for it."""
    found: set[int] = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == LISTENING:
                found.add(int(local.rpartition(":")[2], 16))
    return found.issuperset(ports)


@cache
def api() -> docker.APIClient:
    """One client for the whole run."""
    return docker.from_env(timeout=REQUEST_S).api


def recipe_of(container: str, password: str) -> Recipe:
    """Ours: what devbox made of its spec, without its labels, so that devbox does not take a sample for its own."""
    found = api().inspect_container(container)
    config, host = found["Config"], found["HostConfig"]
    volumes = tuple(mount["Target"] for mount in host["Mounts"] or () if mount["Type"] == "volume")
    host["Mounts"] = [mount for mount in host["Mounts"] or () if mount["Type"] != "volume"]
    host |= {"NetworkMode": "default", "PortBindings": _port_bindings()}
    kept = ("Image", "Env", "Healthcheck", "ExposedPorts", "StopTimeout", "Hostname", "Cmd", "Entrypoint")
    body = {key: config[key] for key in kept if key in config} | {"Labels": LABELS, "HostConfig": host}
    return Recipe(name="ours", config=body, volumes=volumes, password=password)


def recipe_naive(image: str) -> Recipe:
    password = secrets.token_hex(4)
    body = {
        "Image": image,
        "Env": [f"VNC_PASSWORD={password}"],
        "Labels": LABELS,
        "ExposedPorts": {f"{port}/tcp": {} for port in PORTS},
        "HostConfig": {"PortBindings": _port_bindings(), "ShmSize": 256 << 20},
    }
    return Recipe(name="naive", config=body, volumes=(), password=password)


def _port_bindings() -> dict[str, list[dict[str, str]]]:
    return {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in PORTS}


@contextmanager
def running(recipe: Recipe) -> Iterator[Running]:
    """A new container of the recipe, started; gone afterwards with its volumes."""
    with ExitStack() as stack:
        mounts = [_new_volume(stack, target) for target in recipe.volumes]
        host = {**recipe.config["HostConfig"]}
        host["Mounts"] = [*(host.get("Mounts") or ()), *mounts]
        created = time.perf_counter()
        made = api().create_container_from_config({**recipe.config, "HostConfig": host})  # type: ignore[no-untyped-call]
        stack.callback(lambda: api().remove_container(made["Id"], force=True, v=True))
        api().start(made["Id"])
        started = time.perf_counter()
        found = api().inspect_container(made["Id"])
        if not found["State"]["Running"]:
            raise NotReadyError(f"a container of the {recipe.name} image ended at once", where=recipe.config["Image"])
        bound = found["NetworkSettings"]["Ports"]
        yield Running(
            recipe=recipe,
            id=made["Id"],
            created=created,
            started=started,
            pid=found["State"]["Pid"],
            ports={port: int(bound[f"{port}/tcp"][0]["HostPort"]) for port in PORTS},
        )


def _new_volume(stack: ExitStack, target: str) -> dict[str, str]:
    name = api().create_volume(labels=LABELS)["Name"]
    stack.callback(lambda: api().remove_volume(name, force=True))
    return {"Type": "volume", "Source": name, "Target": target}
