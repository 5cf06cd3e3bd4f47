"""Everything that a fault could leave behind or change, as one value that can be compared.

What belongs to workstations of other folders is left out: somebody else may work on this engine meanwhile. Where they
do more than that, DEVBOX_TEST_SHARED=1 leaves out what has no label, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors

from builder.adapters.clock import wait_for
from builder.adapters.files import PART
from tests.engine.conftest import Workstation

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine

SHARED = bool(os.environ.get("DEVBOX_TEST_SHARED"))
PROJECT = "com.docker.compose.project"
# What `write_atomic`, bootstraps and `save` work in until it gets its final name; downloads lie in `tmp`.
TEMPORARY = re.compile(rf"\..*(?:{re.escape(PART)}|\.part)|(?:scratch|devbox-bootstrap)-.*")
# Both of its volumes, of which one lies in the other.
SUMS = """
find /home/dev /home/dev/projects -xdev -type f -print0 | sort -z | xargs -0 -r sha256sum
find /home/dev /home/dev/projects -xdev ! -type f | sort
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Names, but for what has to stay the same container."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    images: frozenset[str]
    temporary: frozenset[str]
    processes: frozenset[str]
    bystander: str  # id and time of start
    workstation: str  # of the one that the faults meet
    data: str  # names and checksums of all that is in the bystander's volumes
    subject: str  # checksums of the projects of the workstation that the faults meet


def differences(before: Snapshot, after: Snapshot, *, but: Iterable[str] = ()) -> dict[str, Any]:
    """What is not the same, by part; empty where nothing changed."""
    found: dict[str, Any] = {}
    for name in sorted(set(Snapshot.__slots__) - set(but)):
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, frozenset) and old != new:
            found[name] = {"gone": sorted(old - new), "new": sorted(new - old)}
        elif old != new:
            found[name] = {"before": old, "after": new}
    return found


class Observer:
    """Looks at the engine through the SDK, past devbox's own code, and at this machine."""

    def __init__(self, api: Any, engine: Engine, folders: Iterable[Path]) -> None:
        self._api = api
        self._engine = engine
        self._folders = tuple(folders)

    def look(self, subject: Workstation, bystander: Workstation) -> Snapshot:
        ours = (subject.folder.name, bystander.folder.name)
        found, still = (self._find(project) for project in ours)
        assert still is not None
        return Snapshot(
            containers=frozenset(
                f"{item['Names'][0]} {item['State']}"
                for item in self._api.containers(all=True)
                if _concerns(item.get("Labels"), ours)
            ),
            networks=frozenset(item["Name"] for item in self._api.networks() if _concerns(item.get("Labels"), ours)),
            volumes=frozenset(
                item["Name"] for item in self._api.volumes().get("Volumes") or () if _concerns(item.get("Labels"), ours)
            ),
            images=frozenset(self._images()),
            temporary=frozenset(_temporary(self._folders)),
            processes=frozenset(_processes(str(subject.folder.parent))),
            bystander=_identity(still),
            workstation=_identity(found),
            data=self._sums(still["Id"], SUMS),
            subject=self._projects(subject),
        )

    def _find(self, project: str) -> Mapping[str, Any] | None:
        """What a killed devbox has asked for, the engine goes on to make: it lists a container some time before it can
        be inspected."""

        def inspect() -> tuple[Mapping[str, Any] | None] | None:
            found = self._api.containers(all=True, filters={"label": f"{PROJECT}={project}"})
            try:
                return (self._api.inspect_container(found[0]["Id"]) if found else None,)
            except docker.errors.NotFound:
                return None

        return wait_for("the container that is made", inspect, deadline_s=20, interval_s=0.05)[0]

    def _images(self) -> Iterator[str]:
        """Those of workstations, and untagged ones. None has a label that says whose it is."""
        if not SHARED:
            for filters in ({"dangling": True}, {"label": ["dev.devbox.plan"]}):
                yield from (str(item["Id"]) for item in self._api.images(filters=filters))

    def _projects(self, subject: Workstation) -> str:
        """Read on this machine, since the workstation may be down. The engine's folder is root's."""
        volume = f"{subject.folder.name}_projects"
        point = Path(self._api.inspect_volume(volume)["Mountpoint"])
        return "\n".join(
            f"{path.relative_to(point)} {path.read_bytes()!r}" for path in sorted(point.rglob("*")) if path.is_file()
        )

    def _sums(self, container: str, script: str) -> str:
        return self._engine.run(container, ["sh", "-c", script]).stdout.decode(errors="replace")


def _identity(container: Mapping[str, Any] | None) -> str:
    return "" if container is None else f"{container['Id']} {container['State']['StartedAt']}"


def _concerns(labels: Mapping[str, str] | None, ours: tuple[str, str]) -> bool:
    """Ours, or nobody's."""
    project = (labels or {}).get(PROJECT)
    return (project is None and not SHARED) or project in ours


def _temporary(folders: Iterable[Path]) -> Iterator[str]:
    """In one walk: the cache holds tens of thousands of files, and each fault is looked at twice."""
    for top in folders:
        for folder, below, files in os.walk(top):
            for name in (*below, *files):
                if TEMPORARY.fullmatch(name) or folder.endswith("/tmp"):
                    yield f"{folder}/{name}"


def _processes(mark: str) -> Iterator[str]:
    """Command lines with `mark` in them, but for this process and its parents."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) in (os.getpid(), os.getppid()):
            continue
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended between listing and reading
        if mark in line:
            yield f"{folder.name} {line}"
