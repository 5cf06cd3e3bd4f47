"""The connection to one engine: found, tried, and its version agreed on. All verbs stand on it.

Owns the SDK client, which never leaves this package, and the two ways to ask: an SDK call inside `asking`, or `stream`
for what the SDK has no method for. Must not know containers, images or builds.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import docker
import docker.tls

from builder.adapters.engine.failures import answer_error, explained, permission_error, wire_error
from builder.errors import EngineError
from builder.model import EngineVersion

if TYPE_CHECKING:
    import requests

    from builder.adapters.engine.host import EngineHost
    from builder.adapters.engine.views import Json

OLDEST_API: Final = (1, 40)  # Engine 19.03: the first whose BuildKit reports its progress over the API
NEWEST_API: Final = (1, 47)  # what these requests were written against
ANSWER_S: Final = 5.0  # an engine that does not tell its version in this time hangs
REQUEST_S: Final = 60.0


class Connection:
    """One engine that answered. Its methods raise EngineError and nothing else."""

    def __init__(self, host: EngineHost) -> None:
        """Connect; every reason why that fails has its own message (see `failures`)."""
        self.host = host
        _look_at_socket(host)
        first = _open_client(host, OLDEST_API, ANSWER_S)
        with self.asking("the engine does not tell its version"):
            self._about: Json = first.version(api_version=False)
        first.close()
        self._api = _open_client(host, _agree(self._about, host), REQUEST_S)

    def close(self) -> None:
        self._api.close()

    def asking(self, doing: str) -> AbstractContextManager[None]:
        """`with engine.asking("cannot start x"):` around SDK calls, so that each failure becomes an EngineError."""
        return explained(doing, self.host)

    def version(self) -> EngineVersion:
        """Two questions, one of which was answered at connect."""
        with self.asking("the engine does not describe itself"):
            info = self._api.info()
        return EngineVersion(
            version=str(self._about.get("Version", "")),
            api=str(self._about.get("ApiVersion", "")),
            arch=str(self._about.get("Arch", "")),
            os=str(self._about.get("Os", "")),
            buildkit=self.has_buildkit(),
            kind=self.kind,
            cgroup=str(info.get("CgroupVersion", "1")),
            storage=str(info.get("Driver", "")),
            rootless=any("name=rootless" in item for item in info.get("SecurityOptions") or ()),
            host=self.host.named,
            runc=self._find_runc(),
            desktop=info.get("OperatingSystem") == "Docker Desktop",
            firewall=str((info.get("FirewallBackend") or {}).get("Driver", "")),
        )

    @property
    def kind(self) -> str:
        """docker, or podman: by the name of what answers."""
        names = (str(item.get("Name", "")).lower() for item in self._about.get("Components") or ())
        return "podman" if any("podman" in name for name in names) else "docker"

    def _find_runc(self) -> str:
        """Debian and Ubuntu write the version of their package, which tells of mends, where others write a commit."""
        for item in self._about.get("Components") or ():
            version, details = str(item.get("Version", "")), item.get("Details") or {}
            match item.get("Name"):
                case "runc":
                    package = str(details.get("GitCommit", ""))
                    return package if version and package.startswith(version) else version
                case "OCI Runtime (runc)":  # podman: its package is name_version_architecture
                    return next(iter(str(details.get("Package", "")).split("_")[1:2]), "")
        return ""

    def has_buildkit(self) -> bool:
        """Docker engines since 18.09 have it whatever `/_ping` says is their default; podman's API has not."""
        return self._about.get("Os") == "linux" and self.kind == "docker"

    @property
    def prefix(self) -> str:
        """What a path of the agreed API version begins with."""
        return f"/v{self._api.api_version}"

    def stream(
        self,
        doing: str,
        path: str,
        *,
        params: Mapping[str, str | list[str]],
        body: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float | None = None,
    ) -> Generator[Json, None, None]:
        """POST `path` and yield the JSON messages of the answer as they come. `silence_s` is how long the engine may
        say nothing, and read nothing of `body`; None is for ever.

        An `error` message is left to the caller. Closing the iterator closes the connection.
        """
        with self.asking(doing):
            response = self._api.post(
                f"{self._api.base_url}{self.prefix}{path}",
                params=dict(params),
                data=body,
                headers=dict(headers or {}),
                stream=True,
                timeout=silence_s,
            )
            try:
                if response.status_code >= 400:
                    raise answer_error(doing, response.status_code, reason(response), self.host)
                for line in response.iter_lines(chunk_size=None):
                    if line.strip():
                        yield json.loads(line)
            finally:
                response.close()

    def post(self, doing: str, path: str, *, params: Mapping[str, str], timeout_s: float = REQUEST_S) -> None:
        """POST without body or answer, on a connection of its own if the others are busy."""
        with self.asking(doing):
            response = self._api.post(
                f"{self._api.base_url}{self.prefix}{path}", params=dict(params), timeout=timeout_s
            )
        if response.status_code >= 400:
            raise answer_error(doing, response.status_code, reason(response), self.host)


def reason(response: requests.Response) -> str:
    """The engine's own words: {"message": ...}, or whatever it wrote."""
    try:
        value: Any = response.json()
    except ValueError:
        return response.text
    return str(value.get("message", response.text)) if isinstance(value, dict) else response.text


def _look_at_socket(host: EngineHost) -> None:
    """What the file system can say before anything is asked."""
    path = host.socket
    if path is None:
        return
    try:
        is_socket, exists = path.is_socket(), path.exists()
    except PermissionError as error:
        raise permission_error(host) from error
    if not exists:
        raise wire_error("", FileNotFoundError(), host)
    if not is_socket:
        raise EngineError(f"{path} is no socket", where=host.source, hint="point DOCKER_HOST at the engine's socket")


def _open_client(host: EngineHost, api: tuple[int, int], timeout_s: float) -> docker.APIClient:
    with explained("the engine's address cannot be used", host):
        client = docker.APIClient(
            base_url=host.url, version=f"{api[0]}.{api[1]}", timeout=int(timeout_s), tls=_tls(host)
        )
    # No proxy and no netrc: what is hijacked goes straight, too. And no REQUESTS_CA_BUNDLE, which would take the place
    # of the engine's own authority.
    client.trust_env = not (host.socket or host.tls)
    return client


def _tls(host: EngineHost) -> docker.tls.TLSConfig | bool:
    if host.tls is None:
        return host.url.startswith("https://")
    names = {name: host.tls / f"{name}.pem" for name in ("ca", "cert", "key")}
    pair = (str(names["cert"]), str(names["key"])) if names["cert"].is_file() else None
    authority = str(names["ca"]) if names["ca"].is_file() else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=authority, verify=host.verify)


def _agree(about: Json, host: EngineHost) -> tuple[int, int]:
    """The newest API version that both sides know."""
    newest, oldest = _number(about.get("ApiVersion")), _number(about.get("MinAPIVersion", "1.0"))
    if newest is None or oldest is None:
        raise EngineError("this is no container engine", where=host.named, hint="look at DOCKER_HOST")
    named = about.get("Version", "unknown")
    if newest < OLDEST_API:
        raise EngineError(
            f"engine {named} is too old: it speaks API {about.get('ApiVersion')}, devbox needs 1.40",
            where=host.named,
            hint="install Docker Engine 20.10 or newer",
        )
    if oldest > NEWEST_API:
        raise EngineError(f"engine {named} is too new for this devbox", where=host.named, hint="install a newer devbox")
    return min(newest, NEWEST_API)


def _number(text: object) -> tuple[int, int] | None:
    major, _, minor = str(text or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
