"""What the core is told about this machine. Owns one value; looking it up is the work of an adapter."""

from __future__ import annotations

from dataclasses import dataclass


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
