"""Containers: found by label, made from a ServiceSpec, started, stopped, watched.

Must not touch a container that is not ours: see `create_container`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import docker.errors

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error, foreign_error
from builder.adapters.engine.spec import PROJECT, SERVICE, create_arguments, is_ours
from builder.adapters.engine.views import EngineEvent, Json, container_view, event_view, published_ports, stats_view
from builder.adapters.engine.wire import Frame, frames, hijack, lines
from builder.core.labels import LABEL_WORKSPACE, WORKSTATION
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.model import ServiceSpec
    from builder.views import ContainerView, Stats


REMOVAL_S: Final = 60


class ContainerVerbs(Connection):
    def find_containers(self, project: str) -> tuple[ContainerView, ...]:
        """All containers of a Compose project that devbox's spec made, also stopped ones, by name. One question."""
        return tuple(view for view in self._list_containers(f"{PROJECT}={project}") if is_ours(view.labels))

    def find_container(self, project: str, service: str = WORKSTATION) -> ContainerView | None:
        """The container of one service, or None. One question. While one replaces another there are two: the one that
        has the name comes first, for the other's is longer."""
        found = (view for view in self.find_containers(project) if view.labels.get(SERVICE) == service)
        return next(found, None)

    def find_workstations(self) -> tuple[ContainerView, ...]:
        """Every workstation of this engine, whatever its project. One question."""
        return self._list_containers(LABEL_WORKSPACE, f"{SERVICE}={WORKSTATION}")

    def find_services(self) -> tuple[ContainerView, ...]:
        """Workstations and sidecars of this engine, whatever their project. One question."""
        return self._list_containers(LABEL_WORKSPACE)

    def used_images(self, *, but: Collection[str] = ()) -> frozenset[str]:
        """Ids of the images that any container of this engine was made of, whoever made it, but for some containers."""
        with self.asking("cannot list containers"):
            found = self._api.containers(all=True)
        return frozenset(str(item["ImageID"]) for item in found if item["Id"] not in but)

    def _list_containers(self, *labels: str) -> tuple[ContainerView, ...]:
        with self.asking("cannot list containers"):
            found = self._api.containers(all=True, filters={"label": list(labels)})
        return tuple(sorted((container_view(item) for item in found), key=lambda view: view.name))

    def create_container(self, spec: ServiceSpec, image_id: str, *, name: str | None = None) -> str:
        """Make the container (not started) and return its id. Network and volumes must be there already. `name` is
        for one that gets its own later.

        A container of the same name that is not ours is named in the EngineError and left alone; one of ours is too,
        since only the caller knows whether it may go.
        """
        name = name or spec.container_name
        try:
            with self.asking(f"cannot make the container {name}"):
                answer = self._api.create_container_from_config(create_arguments(spec, image_id), name)  # type: ignore[no-untyped-call]
            return str(answer["Id"])
        except EngineError as error:
            cause = error.__cause__
            if isinstance(cause, docker.errors.APIError) and cause.status_code == 409:
                raise self._name_taken(name) from error
            raise

    def _name_taken(self, name: str) -> EngineError:
        labels = self.inspect(name).get("Config", {}).get("Labels")
        if is_ours(labels):
            owner = (labels or {}).get("dev.devbox.workspace", "unknown")
            return EngineError(
                f"the workstation {name} exists already (workspace {owner})",
                hint="run `devbox down` there, or choose another name with `name:` in devbox.yaml",
            )
        return foreign_error("container", name)

    def rename(self, container: str, name: str) -> None:
        with self.asking(f"cannot give the container its name {name}"):
            self._api.rename(container, name)

    def start(self, container: str) -> None:
        """Start it; one that was paused goes on."""
        with self.asking("cannot start the workstation"):
            try:
                self._api.start(container)
            except docker.errors.APIError as error:
                if "paused" not in str(error.explanation):
                    raise
                self._api.unpause(container)

    def stop(self, container: str, grace_s: int) -> None:
        """Ask it to end, kill it after `grace_s`. Nothing happens to one that does not run, or is gone."""
        with self.asking("cannot stop the container"), suppress(docker.errors.NotFound):
            self._api.stop(container, timeout=grace_s)

    def kill(self, container: str, signal: str = "SIGKILL") -> None:
        with self.asking("cannot signal the container"):
            self._api.kill(container, signal=signal)

    def remove(self, container: str, *, unnamed: bool = False) -> None:
        """Remove the container, running or not; never a volume with a name, and with `unnamed` those that the engine
        made for this container alone, since its image declares them. One that is gone already is what was wanted, and
        so is one that goes: the `devbox` that asked for it may have been killed before it was answered."""
        with self.asking("cannot remove the container"):
            try:
                self._api.remove_container(container, v=unnamed, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
                with suppress(docker.errors.NotFound):
                    self._api.wait(container, timeout=REMOVAL_S, condition="removed")

    def inspect(self, container: str) -> Json:
        """The engine's own description, raw: for tests and for causes that `ContainerView` does not carry."""
        with self.asking(f"cannot inspect {container}"):
            answer: Json = self._api.inspect_container(container)
        return answer

    def wait(self, container: str, *, timeout_s: int | None = None) -> int:
        """Wait until it ends; its exit code. Raises EngineError after `timeout_s`."""
        with self.asking(f"waiting for {container} to end"):
            return int(self._api.wait(container, timeout=timeout_s)["StatusCode"])

    def stats(self, container: str) -> Stats:
        """Memory and CPU over one second: the engine takes that long to measure."""
        with self.asking(f"cannot measure {container}"):
            return stats_view(self._api.stats(container, stream=False))

    def memory(self, container: str) -> int:
        """Bytes in use, as `stats` counts them, at once where the engine can (20.10 and newer)."""
        with self.asking(f"cannot measure {container}"):
            try:
                answer = self._api.stats(container, stream=False, one_shot=True)
            except docker.errors.InvalidVersion:
                return self.stats(container).memory
        return stats_view(answer).memory

    def used_ports(self) -> dict[int, str]:
        """Host port -> name of the running container that publishes it: to name a culprit."""
        with self.asking("cannot list containers"):
            running = self._api.containers()
        views = ((item["Names"][0].lstrip("/"), published_ports(item.get("Ports") or ())) for item in running)
        return {port: name for name, ports in sorted(views) for port in ports.values()}

    def log_frames(
        self, container: str, *, follow: bool = False, tail: int | None = None, since: datetime | None = None
    ) -> Iterator[Frame]:
        """What it wrote, as ("stdout" | "stderr", bytes) frames; with `follow` until it ends or the caller closes."""
        tty = bool(self.inspect(container)["Config"]["Tty"])
        query = f"stdout=1&stderr=1&follow={int(follow)}&tail={'all' if tail is None else tail}"
        if since:
            query += f"&since={since.timestamp():.9f}"
        with self.asking(f"cannot read the log of {container}"):
            wire = hijack(self.host, "GET", f"{self.prefix}/containers/{container}/logs?{query}")
            with closing(wire):
                if wire.response.status >= 400:
                    text = wire.response.read().decode(errors="replace")
                    raise answer_error(f"cannot read the log of {container}", wire.response.status, text, self.host)
                if tty:
                    while data := wire.response.read1(65536):
                        yield "stdout", data
                else:
                    yield from frames(wire.response.read)

    def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        """What it wrote on both streams, line by line (without the line's end)."""
        yield from lines(data for _, data in self.log_frames(container, follow=follow, tail=tail))

    def events(self, project: str, *, since: datetime | None = None) -> Iterator[EngineEvent]:
        """What happens to the containers of a project, as it happens. Close the iterator to stop."""
        with self.asking("cannot follow the engine's events"):
            stream = self._api.events(
                since=since, filters={"type": "container", "label": f"{PROJECT}={project}"}, decode=True
            )
            try:
                for item in stream:
                    yield event_view(item)
            finally:
                stream.close()

    def put_archive(self, container: str, folder: str, tar: bytes) -> None:
        """Unpack a tar below `folder` inside the container."""
        with self.asking(f"cannot copy into {container}:{folder}"):
            self._api.put_archive(container, folder, tar)

    def get_archive(self, container: str, path: str) -> bytes:
        """A tar of one file or folder of the container, held in memory: for small things."""
        with self.asking(f"cannot copy from {container}:{path}"):
            chunks, _ = self._api.get_archive(container, path)
            return b"".join(chunks)
