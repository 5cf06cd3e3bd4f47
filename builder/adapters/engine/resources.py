"""Networks and volumes of a workstation, and what the engine holds on disk.

Makes what is missing and takes what is ours; something foreign of the same name is an error that names it. Data goes
only through `remove_volume`, which nobody calls without having asked a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import docker.errors

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import FOREIGN_HINT
from builder.adapters.engine.spec import PROJECT, is_ours, network_labels, volume_labels
from builder.adapters.engine.views import DiskUsage, Json, disk_view
from builder.core.labels import LABEL_PROCESS
from builder.errors import EngineError

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

    def find_throwaways(self) -> Mapping[str, Mapping[str, str]]:
        """Project -> labels, of everything on this engine that says which process it belongs to."""
        filters = {"label": [LABEL_PROCESS]}
        with self.asking("cannot list throw-aways"):
            found = [*self._api.containers(all=True, filters=filters), *self._api.networks(filters=filters)]
            found += self._api.volumes(filters=filters).get("Volumes") or ()
        labels = (item.get("Labels") or {} for item in found)
        return {item[PROJECT]: item for item in labels if is_ours(item) and PROJECT in item}

    def disk_usage(self) -> DiskUsage:
        """Bytes that the engine holds. Slow (seconds) on an engine with much in it."""
        with self.asking("cannot measure the engine's disk"):
            return disk_view(self._api.df())


def _refuse_foreign(kind: str, name: str, labels: dict[str, str] | None, project: str) -> None:
    if not is_ours(labels) or (labels or {}).get(PROJECT) != project:
        raise EngineError(f"a {kind} named {name} exists and was not made by devbox", hint=FOREIGN_HINT)
