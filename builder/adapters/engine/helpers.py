"""Helper containers: one program beside a workstation, with its volumes in hand, that is asked one thing and ends.

Owns their whole life. The request goes in on standard input, which ends when this process does, however it ends; that
is what the program listens for, and the engine removes the container then. Must not know what is asked.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import requests.exceptions

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.spec import resource_labels
from builder.adapters.engine.wire import frames, hijack, lines
from builder.adapters.living import is_gone, this_process
from builder.core.labels import LABEL_HELPER
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.core.backups import Helper

ENDS_S: Final = 40  # restic takes its lock away meanwhile
TAIL: Final = 4000


class HelperVerbs(Connection):
    def ask_helper(self, helper: Helper, request: Mapping[str, object]) -> Generator[Mapping[str, Any], None, None]:
        """Start it, hand in `request`, yield its answers (JSON objects) as they come. Closing the iterator ends it.

        Raises EngineError where it cannot be started, and where it ends without a word of its own.
        """
        self.remove_stale_helpers()
        doing = f"cannot run {helper.name}"
        with self.asking(doing):
            made = self._api.create_container_from_config(_arguments(helper))  # type: ignore[no-untyped-call]
            container = str(made["Id"])
            try:
                yield from self._converse(doing, container, request)
            finally:
                self._end_helper(container)

    def _converse(self, doing: str, container: str, request: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
        path = f"{self.prefix}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        complaint = b""

        def output() -> Iterator[bytes]:
            nonlocal complaint
            for stream, data in frames(wire.response.read):
                if stream == "stdout":
                    yield data
                else:
                    complaint = (complaint + data)[-TAIL:]

        with closing(hijack(self.host, "POST", path)) as wire:
            if wire.response.status >= 400:
                text = wire.response.read().decode(errors="replace")
                raise answer_error(doing, wire.response.status, text, self.host)
            self._api.start(container)
            wire.socket.sendall(json.dumps(request).encode() + b"\n")
            for line in lines(output()):
                yield json.loads(line)
        if complaint:
            detail = complaint.decode(errors="replace")
            raise EngineError(f"{doing}: it broke off", detail=detail, hint="run the same command again")

    def _end_helper(self, container: str) -> None:
        """Its input has ended, so it ends by itself, and the engine removes it. One that hangs is killed."""
        try:
            self._api.wait(container, timeout=ENDS_S, condition="removed")
        except docker.errors.NotFound:
            return
        except (requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout):
            pass
        self._remove_helper(container)

    def _remove_helper(self, container: str) -> None:
        try:
            self._api.remove_container(container, v=False, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # the engine is at it already
                raise

    def remove_stale_helpers(self) -> None:
        """Those that outlived a devbox that was killed: they would hold on to volumes. Never a volume itself."""
        with self.asking("cannot look for helper containers"):
            for found in self._api.containers(all=True, filters={"label": [LABEL_HELPER]}):
                if is_gone(found["Labels"][LABEL_HELPER]):
                    self._remove_helper(found["Id"])

    def make_volume(self, name: str, *, project: str, workspace: str, key: str) -> None:
        """An empty volume of `project`, to restore into; `workspace` is empty where that is not known. Raises
        EngineError where there is one of that name."""
        with self.asking(f"cannot make the volume {name}"):
            try:
                self._api.inspect_volume(name)
            except docker.errors.NotFound:
                labels = {**resource_labels(project, workspace), "com.docker.compose.volume": key}
                self._api.create_volume(name, driver="local", labels=labels)
                return
        raise EngineError(f"there is a volume {name} already", hint="another name, or remove that one first")


def _arguments(helper: Helper) -> dict[str, Any]:
    return {
        "Image": helper.image,
        "Entrypoint": [],
        "Cmd": list(helper.command),
        # Its own, also on this machine's network: by it and the process id restic tells whose a lock is.
        "Hostname": f"devbox-{secrets.token_hex(6)}",
        "User": "0:0",
        "Env": [f"{name}={value}" for name, value in sorted(helper.environment.items())],
        "Labels": {LABEL_HELPER: this_process()},
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "AutoRemove": True,
            "Mounts": [
                *(_volume(target, name, read_only=helper.read_only) for target, name in sorted(helper.volumes.items())),
                *({"Type": "bind", "Source": source, "Target": target} for target, source in helper.folders.items()),
            ],
            "Tmpfs": dict(helper.tmpfs),
            "NetworkMode": "host" if helper.network else "none",
            "CapDrop": ["ALL"],
            "CapAdd": list(helper.capabilities),
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "PidsLimit": 512,
            "LogConfig": {"Type": "none"},  # what is said goes to who asked, and on no disk
        },
    }


def _volume(target: str, name: str, *, read_only: bool) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": name,
        "Target": target,
        "ReadOnly": read_only,
        "VolumeOptions": {"NoCopy": True},
    }
