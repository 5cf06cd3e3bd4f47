"""Where the engine is, in the order that Docker's own client looks: DOCKER_HOST, context, default socket, rootless.

An engine on another machine is behind the socket that the tunnel to that machine has here (`adapters.remote`). Reads
the environment that it is given and Docker's own config files; connects to nothing and imports no SDK.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from builder.adapters.remote.address import SCHEME, find_place, parse_address
from builder.errors import ConfigError, EngineError

DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")
SCHEMES: Final = ("unix", "tcp", "http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHost:
    """An engine's address. `tls` is the folder of ca.pem, cert.pem and key.pem, or None."""

    url: str  # unix:///path, tcp://host:port, http://..., https://...
    source: str  # "DOCKER_HOST", "context work", "default socket": for messages
    tls: Path | None = None
    verify: bool = True
    remote: str = ""  # ssh://..., the machine that the tunnel at this socket leads to

    @property
    def named(self) -> str:
        """As a person knows it."""
        return self.remote or self.url

    @property
    def socket(self) -> Path | None:
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


def find_host(environment: Mapping[str, str]) -> EngineHost:
    """Say where the engine should be. Raises EngineError for an address or a context that cannot be used."""
    if address := environment.get("DOCKER_HOST", "").strip():
        return _from_address(address, environment)
    config = _config_folder(environment)
    context = environment.get("DOCKER_CONTEXT") or _current_context(config)
    if context and context != "default":
        return _from_context(config, context, environment)
    return _from_sockets(environment)


def find_elsewhere(environment: Mapping[str, str], *, skipped: Callable[[str], None]) -> tuple[str, ...]:
    """The machines that Docker's contexts name by ssh://; `skipped` hears why a context could not be read."""
    found: set[str] = set()
    for meta in sorted((_config_folder(environment) / "contexts" / "meta").glob("*/meta.json")):
        try:
            address = str(_endpoint(_read_json(meta), meta).get("Host", ""))
            if address.startswith(SCHEME):
                found.add(str(parse_address(address, where=str(meta))))
        except (ConfigError, EngineError) as error:
            skipped(str(error))
    return tuple(sorted(found))


def _from_address(address: str, environment: Mapping[str, str]) -> EngineHost:
    if address.startswith(SCHEME):
        return _behind_tunnel(address, environment, "DOCKER_HOST")
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    certificates = environment.get("DOCKER_CERT_PATH")
    tls = None
    if verify or certificates:
        tls = Path(certificates) if certificates else _config_folder(environment)
    return EngineHost(
        url=_checked(address, "DOCKER_HOST"), source="DOCKER_HOST", tls=_no_tls_for_unix(address, tls), verify=verify
    )


def _behind_tunnel(address: str, environment: Mapping[str, str], source: str) -> EngineHost:
    known = parse_address(address, where=source)
    return EngineHost(url=f"unix://{find_place(known, environment).engine}", source=source, remote=str(known))


def _no_tls_for_unix(address: str, tls: Path | None) -> Path | None:
    return None if address.startswith("unix:") else tls


def _checked(address: str, source: str) -> str:
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in SCHEMES or not rest:
        raise EngineError(
            f"{address!r} is no address of an engine",
            where=source,
            hint="write unix:///path/to/docker.sock, tcp://host:2376 or ssh://user@host",
        )
    return address


def _config_folder(environment: Mapping[str, str]) -> Path:
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder)
    try:
        return Path(environment.get("HOME") or Path.home()) / ".docker"
    except RuntimeError:  # a user id that nobody gave a name, and so no settings either
        return Path("/.docker")


def _current_context(config: Path) -> str | None:
    path = config / "config.json"
    if not path.is_file():
        return None
    name = _read_json(path).get("currentContext")
    return name if isinstance(name, str) else None


def _from_context(config: Path, name: str, environment: Mapping[str, str]) -> EngineHost:
    """Contexts lie below a folder named by the hash of their name (the docker client's context store)."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts" / "meta" / key / "meta.json"
    if not meta.is_file():
        raise EngineError(
            f"the docker context {name!r} does not exist",
            where=str(config),
            hint="`docker context ls` shows those that do; `docker context use default` goes back to the local engine",
        )
    endpoint = _endpoint(_read_json(meta), meta)
    certificates = config / "contexts" / "tls" / key / "docker"
    address = str(endpoint.get("Host", ""))
    if address.startswith(SCHEME):
        return _behind_tunnel(address, environment, f"context {name}")
    return EngineHost(
        url=_checked(address, f"context {name}"),
        source=f"context {name}",
        tls=_no_tls_for_unix(address, certificates if certificates.is_dir() else None),
        verify=not endpoint.get("SkipTLSVerify"),
    )


def _endpoint(meta: dict[str, object], path: Path) -> dict[str, object]:
    endpoints = meta.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        raise EngineError(
            "this context has no docker endpoint", where=str(path), hint="`docker context inspect` shows it"
        )
    return cast("dict[str, object]", endpoint)


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineError(
            f"cannot be read: {error}", where=str(path), hint="repair or remove this file; DOCKER_HOST bypasses it"
        ) from error
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _from_sockets(environment: Mapping[str, str]) -> EngineHost:
    """The default socket, or, where there is none, the rootless engine of this user."""
    if not DEFAULT_SOCKET.exists() and (runtime := environment.get("XDG_RUNTIME_DIR")):
        rootless = Path(runtime) / "docker.sock"
        if rootless.exists():
            return EngineHost(url=f"unix://{rootless}", source="rootless socket")
    return EngineHost(url=f"unix://{DEFAULT_SOCKET}", source="default socket")
