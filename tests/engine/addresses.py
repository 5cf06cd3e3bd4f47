"""Addresses of this machine that tests hand to an engine or to its containers."""

from __future__ import annotations

import secrets
import socket
from ipaddress import ip_network
from typing import Any

PORTS = range(20_000, 30_000)  # below those that the kernel takes for connections that go out


def find_gateway(api: Any) -> str:
    """This machine, as containers and steps of a build see it. An Engine 20.10 that has just been installed names only
    the network itself until it is started again: its bridge has the first address."""
    network = api.inspect_network("bridge")["IPAM"]["Config"][0]
    return str(network.get("Gateway") or next(ip_network(network["Subnet"]).hosts()))


def find_free_port() -> int:
    """One of the loopback interface. At random: two sessions of tests may run side by side."""
    while True:
        port = secrets.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
