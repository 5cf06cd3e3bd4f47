"""An engine on another machine, behind its tunnel: the same verbs, and what distance adds to them.

Three things are not over there: this machine's folders, its loopback, and its people. Secrets travel into a volume of
the engine, through its archive API; ports are opened here when a container starts; and what is made carries the name of
this machine before its folder, for another person's may have the same path.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import docker.errors

from builder.adapters.engine.client import Engine
from builder.adapters.engine_look import unmark
from builder.adapters.files import cannot
from builder.adapters.living import this_process
from builder.adapters.ports import is_free, next_free
from builder.adapters.remote.marks import mark_folder, unmark_folder
from builder.core.labels import LABEL_EXPOSED, LABEL_HELPER, LABEL_SECRETS, LABEL_WORKSPACE, WORKSTATION
from builder.errors import EngineError, PortTakenError

if TYPE_CHECKING:
    from builder.adapters.engine.host import EngineHost
    from builder.adapters.remote.client import TunnelClient
    from builder.model import ServiceSpec, VolumeSpec
    from builder.views import ContainerView, PartView

HERE: Final = "127.0.0.1"
INTO: Final = "/mnt"  # where a helper has the volume; every base has this folder
EMPTY_WHERE_MISSING: Final = ("environment", "gitconfig")  # may have been taken back: an archive removes no file


class RemoteEngine(Engine):
    """`tell` is for what a person should know of their own machine's ports."""

    def __init__(self, host: EngineHost, tunnel: TunnelClient, tell: Callable[[str], None]) -> None:
        super().__init__(host)
        self._tunnel = tunnel
        self._tell = tell
        if tunnel.ask("status")["dials"]:  # a connection that waits for the next request would hold a session
            self._api.headers["Connection"] = "close"
        if tunnel.fresh:
            self._open_all()

    def machine(self) -> str:
        return self._tunnel.address.host

    # ------------------------------------------------------------------------------------------------ whose it is

    def _list_containers(self, *labels: str) -> tuple[ContainerView, ...]:
        return tuple(unmark(view) for view in super()._list_containers(*labels))

    def _list_parts(self, label: str) -> tuple[PartView, ...]:
        found = super()._list_parts(label)
        return tuple(replace(part, workspace=unmark_folder(part.workspace)) for part in found)

    def find_throwaways(self) -> Mapping[str, Mapping[str, str]]:
        return {
            project: {**labels, LABEL_WORKSPACE: unmark_folder(labels[LABEL_WORKSPACE])}
            for project, labels in super().find_throwaways().items()
        }

    def ensure_network(self, spec: ServiceSpec) -> bool:
        return super().ensure_network(_marked(spec))

    def ensure_volume(self, spec: ServiceSpec, volume: VolumeSpec) -> bool:
        return super().ensure_volume(_marked(spec), volume)

    def make_volume(self, name: str, *, project: str, workspace: str, key: str) -> None:
        super().make_volume(name, project=project, workspace=mark_folder(workspace), key=key)

    def refuse_foreign(self, spec: ServiceSpec) -> None:
        """Also what cannot be on another machine."""
        if spec.mounts:
            raise EngineError(
                f"`mounts` are folders of this machine, and the workstation is on {self._tunnel.address.host}",
                where="devbox.yaml",
                hint="take them out: what is in the volumes is there, and `devbox ssh-config` lets rsync bring more",
            )
        if LABEL_EXPOSED in spec.labels:
            raise EngineError(
                f"`expose` would publish the desktop on the addresses of {self._tunnel.address.host}",
                where="devbox.yaml",
                hint="take it out: it is reached through the tunnel, on this machine's loopback",
            )
        super().refuse_foreign(spec)

    # ------------------------------------------------------------------------------------------------ the secrets

    def create_container(self, spec: ServiceSpec, image_id: str, *, name: str | None = None) -> str:
        """With its secrets in a volume, filled before it is made."""
        spec = _marked(spec)
        volume = _secrets_of(spec.project, spec.service)
        self._ensure_secrets(volume, spec.project, spec.labels[LABEL_WORKSPACE])
        self._fill(volume, Path(spec.secrets_dir), image=spec.image, user=spec.user or "")
        return super().create_container(replace(spec, secrets_dir=volume), image_id, name=name)

    def _ensure_secrets(self, volume: str, project: str, workspace: str) -> None:
        # Not among the volumes of the project: it holds no data of a person, to be kept or backed up.
        labels = {LABEL_WORKSPACE: workspace, LABEL_SECRETS: project}
        with self.asking(f"cannot make the volume {volume}"):
            made = self._api.create_volume(volume, driver="local", labels=labels)
        if not _holds_secrets(made, project):  # one of that name was there
            hint = f"choose another `name:`; or, if nobody needs it, `docker volume rm {volume}` there"
            raise EngineError(f"the volume {volume} is not of this workstation", hint=hint)

    def give_secrets(self, project: str, folder: str) -> None:
        """What `folder` holds now, to the workstation that is there."""
        if (found := self.find_container(project)) is not None:
            user = str(self.inspect(found.id)["Config"].get("User") or "")
            self._fill(_secrets_of(project, WORKSTATION), Path(folder), image=found.image_id, user=user)

    def remove_network(self, project: str) -> None:
        """And the copies of the secrets, which nothing uses any more."""
        super().remove_network(project)
        with self.asking(f"cannot list the volumes of {project}"):
            found = self._api.volumes(filters={"label": [f"{LABEL_SECRETS}={project}"]}).get("Volumes") or ()
        for item in found:
            if _holds_secrets(item, project):
                self.remove_volume(item["Name"])

    def _fill(self, volume: str, folder: Path, *, image: str, user: str) -> None:
        """By a container that is never started: the workstation itself may not write there."""
        with (
            self.asking(f"cannot bring the secrets to {self._tunnel.address.host}"),
            self._helper(volume, image) as helper,
        ):
            self._api.put_archive(helper, INTO, pack_secrets(folder, user))

    @contextmanager
    def _helper(self, volume: str, image: str) -> Iterator[str]:
        mounts = [{"Type": "volume", "Source": volume, "Target": INTO}]
        order = {
            "Image": image,
            "Cmd": ["true"],  # that of a sidecar has none of its own
            "Labels": {LABEL_HELPER: this_process()},
            "HostConfig": {"Mounts": mounts, "NetworkMode": "none"},
        }
        made = str(self._api.create_container_from_config(order)["Id"])  # type: ignore[no-untyped-call]
        try:
            yield made
        finally:
            with suppress(docker.errors.NotFound):
                self._api.remove_container(made, v=False, force=True)

    # -------------------------------------------------------------------------------------------------- the ports

    def start(self, container: str) -> None:
        super().start(container)
        for address, port in _published(self._network_of(container)):
            if not self._tunnel.forward(address, port, port):
                self.stop(container, 0)  # one that runs would hold its port over there, and be given the same again
                raise PortTakenError(
                    f"port {port} of this machine was taken meanwhile",
                    where=str(self._tunnel.address),
                    hint="`devbox up` finds another one",
                )

    def used_ports(self) -> dict[int, str]:
        """But for those that another program has on this machine: that one is in the way."""
        ours = {item["here"] for item in self._tunnel.ask("status")["ports"]}
        return {port: name for port, name in super().used_ports().items() if port in ours or is_free(HERE, port)}

    def forward(self, container: str, inside: int, here: int) -> tuple[str, int]:
        """Through the tunnel, to the container's own address there, until it stops or gets another."""
        hosts = _addresses(self._network_of(container))
        if not hosts:
            raise EngineError(f"{container} has no address there", hint="`devbox status` says whether it runs")
        port = here
        while not self._tunnel.forward(HERE, port, inside, host=hosts[0]):
            port = next_free(HERE, port + 1)
        return HERE, port

    def stop(self, container: str, grace_s: int) -> None:
        self._close_doors(container)
        super().stop(container, grace_s)

    def remove(self, container: str, *, unnamed: bool = False) -> None:
        self._close_doors(container)
        super().remove(container, unnamed=unnamed)

    def _close_doors(self, container: str) -> None:
        """Also those of `devbox forward`: its address over there may be another container's next."""
        network = self._network_of(container)
        for address, port in _published(network):
            self._tunnel.drop(address, port)
        inside = _addresses(network)
        for item in self._tunnel.ask("status")["ports"] if inside else ():
            if item["host"] in inside:
                self._tunnel.drop(item["address"], item["here"])

    def _open_all(self) -> None:
        """Those of this machine's workstations there that run: the tunnel of before has ended."""
        for view in self.find_services():
            if not view.labels[LABEL_WORKSPACE].startswith("/"):
                continue
            for inside, port in view.ports.items():
                if not self._tunnel.forward(view.address(inside), port, port):
                    self._tell(f"port {port} of {view.name} is taken on this machine; `devbox up` moves it to another")

    def _network_of(self, container: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._api.inspect_container(container)["NetworkSettings"]
        except docker.errors.NotFound:
            return {}
        except (docker.errors.DockerException, OSError) as error:
            hint = "`devbox tunnel status` says whether the connection stands"
            raise EngineError(
                f"cannot inspect {container}: {error}", where=str(self._tunnel.address), hint=hint
            ) from error
        return found


def _published(network: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Address and port on the machine there, of what a container publishes now."""
    places = (place for binding in (network.get("Ports") or {}).values() for place in binding or ())
    return sorted({(str(place["HostIp"]), int(place["HostPort"])) for place in places})


def _addresses(network: Mapping[str, Any]) -> list[str]:
    """Of the container itself, over there; none of one that does not run."""
    return [str(item["IPAddress"]) for item in (network.get("Networks") or {}).values() if item.get("IPAddress")]


def _marked(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, labels={**spec.labels, LABEL_WORKSPACE: mark_folder(spec.labels.get(LABEL_WORKSPACE, ""))})


def _secrets_of(project: str, service: str) -> str:
    return f"{project}_secrets" if service == WORKSTATION else f"{project}_{service}_secrets"


def _holds_secrets(volume: Mapping[str, Any], project: str) -> bool:
    """Those of a workstation of this machine: another person's may have the same name."""
    labels = volume.get("Labels") or {}
    return labels.get(LABEL_SECRETS) == project and unmark_folder(labels.get(LABEL_WORKSPACE, "")).startswith("/")


def pack_secrets(folder: Path, user: str) -> bytes:
    """A tar of the files in `folder`, as private as they are here; owned by a `user` that is uid:gid, else by root."""
    uid, _, gid = user.partition(":")
    owner = (int(uid), int(gid)) if uid.isdigit() and gid.isdigit() else (0, 0)
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, mode, data in _read_secrets(folder):
            item = tarfile.TarInfo(name)
            item.mode, item.size = mode, len(data)
            item.uid, item.gid = owner
            archive.addfile(item, io.BytesIO(data))
    return sink.getvalue()


def _read_secrets(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                yield path.name, path.stat().st_mode & 0o777, path.read_bytes()
        for name in EMPTY_WHERE_MISSING:
            if not (folder / name).exists():
                yield name, 0o600, b""
    except OSError as error:
        raise cannot("read", folder, error) from error
