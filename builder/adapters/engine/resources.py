"""Networks and volumes of a workstation, and what the engine holds on disk.

Makes what is missing and takes what is ours; something foreign of the same name is an error that names it. Data goes
only through `remove_volume`, which nobody calls without having asked a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import docker.errors

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import foreign_error
from builder.adapters.engine.spec import PROJECT, is_ours, network_labels, volume_labels
from builder.adapters.engine.views import DiskUsage, Json, disk_view, project_disks
from builder.core.labels import LABEL_PROCESS, LABEL_WORKSPACE
from builder.views import PartView

if TYPE_CHECKING:
    from builder.model import ServiceSpec, VolumeSpec


class ResourceVerbs(Connection):
    def ensure_network(self, spec: ServiceSpec) -> bool:
        """Make the workstation's network where it is missing; True if it was made."""
        with self.asking("cannot list networks"):
            found = [item for item in self._api.networks(names=[spec.network]) if item["Name"] == spec.network]
        if found:
            _refuse_foreign("network", spec.network, found[0].get("Labels"), spec.project)
            return False
        with self.asking(f"cannot make the network {spec.network}"):
            self._api.create_network(spec.network, driver="bridge", labels=network_labels(spec), check_duplicate=True)
        return True

    def ensure_volume(self, spec: ServiceSpec, volume: VolumeSpec) -> bool:
        """Make a volume where it is missing; True if it was made. What an old one holds is never touched."""
        with self.asking(f"cannot look at the volume {volume.name}"):
            try:
                found: Json | None = self._api.inspect_volume(volume.name)
            except docker.errors.NotFound:
                found = None
        if found is not None:
            _refuse_foreign("volume", volume.name, found.get("Labels"), spec.project)
            return False
        with self.asking(f"cannot make the volume {volume.name}"):
            self._api.create_volume(volume.name, driver="local", labels=volume_labels(spec, volume))
        return True

    def volumes(self, project: str) -> tuple[str, ...]:
        """Names of the project's volumes, sorted."""
        with self.asking("cannot list volumes"):
            answer = self._api.volumes(filters={"label": [f"{PROJECT}={project}"]})
        return tuple(sorted(item["Name"] for item in answer.get("Volumes") or () if is_ours(item.get("Labels"))))

    def remove_volume(self, name: str) -> None:
        """Remove a volume with all its data. One that is gone already is what was wanted."""
        with self.asking(f"cannot remove the volume {name}"):
            try:
                self._api.remove_volume(name)
            except docker.errors.NotFound:
                return

    def remove_network(self, project: str) -> None:
        """Remove the networks that devbox or Compose made for the project."""
        with self.asking(f"cannot remove the network of {project}"):
            for item in self._api.networks(filters={"label": [f"{PROJECT}={project}"]}):
                if is_ours(item.get("Labels")):
                    self._api.remove_network(item["Id"])

    def refuse_foreign(self, spec: ServiceSpec) -> None:
        """Raises EngineError where something that devbox did not make has a name of the workstation. Three questions;
        what is missing is made later, by `ensure_network` and the others, which look again."""
        with self.asking(f"cannot look for what has the names of {spec.project}"):
            name = spec.container_name
            containers = self._api.containers(all=True, filters={"name": [f"^/{name}$"]})
            networks = [item for item in self._api.networks(names=[spec.network]) if item["Name"] == spec.network]
            wanted = {volume.name for volume in spec.volumes}
            listed = self._api.volumes(filters={"name": sorted(wanted)}).get("Volumes") or ()
        for item in containers:
            _refuse_foreign("container", name, item.get("Labels"), spec.project)
        for item in networks:
            _refuse_foreign("network", spec.network, item.get("Labels"), spec.project)
        for item in listed:
            if item["Name"] in wanted:
                _refuse_foreign("volume", item["Name"], item.get("Labels"), spec.project)

    def find_parts(self, project: str) -> tuple[PartView, ...]:
        """Network and volumes of the project that are ours, by name. Two questions."""
        return self._list_parts(f"{PROJECT}={project}")

    def all_parts(self) -> tuple[PartView, ...]:
        """Network and volumes of every workstation. Two questions."""
        return self._list_parts(LABEL_WORKSPACE)

    def _list_parts(self, label: str) -> tuple[PartView, ...]:
        filters = {"label": [label]}
        with self.asking("cannot list networks and volumes"):
            found = [("network", item) for item in self._api.networks(filters=filters)]
            found += [("volume", item) for item in self._api.volumes(filters=filters).get("Volumes") or ()]
        ours = [(kind, item) for kind, item in found if is_ours(item.get("Labels"))]
        return tuple(
            PartView(
                kind=kind,
                name=item["Name"],
                workspace=item["Labels"][LABEL_WORKSPACE],
                project=item["Labels"].get(PROJECT, ""),
            )
            for kind, item in sorted(ours, key=lambda pair: (pair[0], pair[1]["Name"]))
        )

    def find_throwaways(self) -> Mapping[str, Mapping[str, str]]:
        """Project -> labels, of everything on this engine that says which process it belongs to."""
        filters = {"label": [LABEL_PROCESS]}
        with self.asking("cannot list throw-aways"):
            found = [*self._api.containers(all=True, filters=filters), *self._api.networks(filters=filters)]
            found += self._api.volumes(filters=filters).get("Volumes") or ()
        labels = (item.get("Labels") or {} for item in found)
        return {item[PROJECT]: item for item in labels if is_ours(item) and PROJECT in item}

    def describe_networks(self, project: str) -> list[Json]:
        """The engine's own description of the project's networks, raw."""
        with self.asking("cannot inspect the networks"):
            found = self._api.networks(filters={"label": [f"{PROJECT}={project}"]})
            return [self._api.inspect_network(item["Id"]) for item in found]

    def describe_disk(self, project: str) -> dict[str, object]:
        """What the engine holds, and of the project's volumes names, labels and sizes, never what is in them. Slow."""
        with self.asking("cannot measure the engine's disk"):
            told = self._api.df()
        volumes = [item for item in told.get("Volumes") or () if (item.get("Labels") or {}).get(PROJECT) == project]
        return {"bytes": disk_view(told), "volumes": volumes}

    def measure_disks(self) -> Mapping[str, int]:
        """Bytes of each Compose project: what its containers wrote, and its volumes. Slow, as `disk_usage` is."""
        with self.asking("cannot measure the engine's disk"):
            return project_disks(self._api.df())

    def disk_usage(self) -> DiskUsage:
        """Bytes that the engine holds. Slow (seconds) on an engine with much in it."""
        with self.asking("cannot measure the engine's disk"):
            return disk_view(self._api.df())


def _refuse_foreign(kind: str, name: str, labels: dict[str, str] | None, project: str) -> None:
    if not is_ours(labels) or (labels or {}).get(PROJECT) != project:
        raise foreign_error(kind, name)
