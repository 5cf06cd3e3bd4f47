"""What the core is told about this machine. Owns one value and what a name of it is; looking it up is the work of an
adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# As it may stand in an address. With a last label of digits, or of 0x and hexadecimal ones, a browser reads the whole
# as an IPv4 address (URL standard, "ends in a number").
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME: Final = rf"(?:{_LABEL}\.){{0,8}}(?!(?:[0-9]+|0x[0-9a-f]*)$){_LABEL}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The machine and the folder that a workstation is for."""

    folder: str  # name of the workspace folder
    workspace: str  # its absolute path
    home: str  # absolute path of the caller's home
    uid: int
    gid: int
    arch: str  # as Debian names it: amd64, arm64
    hostname: str | None = None  # of this machine, where it is one that others could use
    timezone: str | None = None  # Area/City, where the host knows it
    cpus: int | None = None  # where the host tells
