"""Where the engine is, in the order that Docker's own client looks: DOCKER_HOST, context, default socket, rootless.

Reads the environment that it is given and Docker's own config files; connects to nothing and imports no SDK.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from builder.errors import EngineError

DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")
SCHEMES: Final = ("unix", "tcp", "http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHost:
    """An engine's address. `tls` is the folder of ca.pem, cert.pem and key.pem, or None."""

    url: str  # unix:///path, tcp://host:port, http://..., https://...
    source: str  # "DOCKER_HOST", "context work", "default socket": for messages
    tls: Path | None = None
    verify: bool = True

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
        return _from_context(config, context)
    return _from_sockets(environment)


def _from_address(address: str, environment: Mapping[str, str]) -> EngineHost:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    certificates = environment.get("DOCKER_CERT_PATH")
    tls = None
    if verify or certificates:
        tls = Path(certificates) if certificates else _config_folder(environment)
    return EngineHost(
        url=_checked(address, "DOCKER_HOST"), source="DOCKER_HOST", tls=_no_tls_for_unix(address, tls), verify=verify
    )


def _no_tls_for_unix(address: str, tls: Path | None) -> Path | None:
    return None if address.startswith("unix:") else tls


def _checked(address: str, source: str) -> str:
    scheme, separator, rest = address.partition("://")
    if scheme == "ssh":
        raise EngineError(
            f"{address}: engines over SSH come later",
            where=source,
            hint="forward its socket with `ssh -L` and set DOCKER_HOST=unix:///path/of/it, or work on that machine",
        )
    if not separator or scheme not in SCHEMES or not rest:
        raise EngineError(
            f"{address!r} is no address of an engine",
            where=source,
            hint="write unix:///path/to/docker.sock or tcp://host:2376",
        )
    return address


def _config_folder(environment: Mapping[str, str]) -> Path:
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder)
    return Path(environment.get("HOME") or Path.home()) / ".docker"


def _current_context(config: Path) -> str | None:
    path = config / "config.json"
    if not path.is_file():
        return None
    name = _read_json(path).get("currentContext")
    return name if isinstance(name, str) else None


def _from_context(config: Path, name: str) -> EngineHost:
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
