"""Compare what devbox starts with what Docker Compose starts from the file that devbox renders.

`comparable` takes out of an `inspect` what differs between any two containers, and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

# Of one container: ids, paths with its id, times, addresses that the engine dealt out.
OWN = {
    "Id",
    "Created",
    "State",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "LogPath",
    "RestartCount",
    "GraphDriver",
    "ExecIDs",
    "SizeRw",
    "SizeRootFs",
}
OWN_ENDPOINT = {
    "NetworkID",
    "EndpointID",
    "Gateway",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "GlobalIPv6Address",
    "MacAddress",
    "DNSNames",
}
# Compose writes its own hash of the service and its own version there, and where it read the file.
COMPOSE_OWN = {"com.docker.compose.config-hash", "com.docker.compose.version"}


def comparable(inspect: Mapping[str, Any]) -> Json:
    """What two containers of the same spec must have in common, in a canonical order."""
    result: Json = {key: copy.deepcopy(value) for key, value in inspect.items() if key not in OWN}
    config = result["Config"]
    config["Env"] = sorted(config["Env"] or [])
    config["Labels"] = {key: value for key, value in config["Labels"].items() if key not in COMPOSE_OWN}
    host = result["HostConfig"]
    for key in ("CapAdd", "CapDrop", "SecurityOpt"):
        host[key] = sorted(item.removeprefix("CAP_") for item in host[key] or [])
    # Compose 2 asks for mounts, Compose 5 for binds where it may make the folder: what counts is what is mounted.
    host.pop("Binds")
    host.pop("Mounts", None)
    mounts = ({key: value for key, value in mount.items() if key != "Mode"} for mount in result["Mounts"])
    result["Mounts"] = sorted(mounts, key=lambda mount: str(mount["Destination"]))
    networks = result.pop("NetworkSettings")["Networks"]
    short = str(inspect["Id"])[:12]
    result["Networks"] = {name: _endpoint(value, short) for name, value in networks.items()}
    return result


def _endpoint(endpoint: Mapping[str, Any], short_id: str) -> Json:
    kept = {key: value for key, value in endpoint.items() if key not in OWN_ENDPOINT}
    kept["Aliases"] = sorted(set(kept.get("Aliases") or ()) - {short_id})
    return kept


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str = "") -> list[str]:
    """Paths at which two values differ, with both values; empty if they are equal."""
    found: list[str] = []
    for key in sorted({*ours, *theirs}):
        left, right = ours.get(key), theirs.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += differences(left, right, f"{where}{key}.")
        elif left != right:
            found.append(f"{where}{key}: devbox {left!r}, compose {right!r}")
    return found
