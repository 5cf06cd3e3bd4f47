"""Ports of a workstation elsewhere: free means free here and there, so that both ends have the same number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from builder.adapters import ports

if TYPE_CHECKING:
    from builder.adapters.remote.client import TunnelClient


class RemotePorts:
    """`HostPorts` for the tunnel that `tunnel` opens when it is first asked."""

    def __init__(self, tunnel: Callable[[], TunnelClient]) -> None:
        self._tunnel = tunnel

    def is_free(self, address: str, port: int) -> bool:
        found = self._tunnel().ask("look", address=address, port=port)
        return not found["there"] and (bool(found["ours"]) or ports.is_free(address, port))

    def leads_there(self, address: str, port: int) -> bool:
        """Not where another program took it here while no tunnel ran; if that has ended, the tunnel takes it now."""
        return self._tunnel().forward(address, port, port)

    def holder(self, port: int) -> str | None:
        """Who has it here; what has it there is not ours to see."""
        found = ports.find_holder(port)
        return f"a program on {self._tunnel().address.host}" if found is None else str(found)
