"""Ports of this machine: whether one is free, and who has it. Holds none for longer than the question takes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.errors import HostError

PROC: Final = Path("/proc")
LISTEN: Final = "0A"  # state of a listening socket, see proc(5), /proc/net/tcp
SPAN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHolder:
    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid})"


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen on `address`:`port` now. Raises HostError for an address or port we may not use."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT does not stop a server either
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise _refused(address, port, error) from error
    return True


def _refused(address: str, port: int, error: OSError) -> HostError:
    where = f"{address}:{port}"
    if error.errno == errno.EACCES:
        return HostError("this port is for root only", where=where, hint="choose a port from 1024 on")
    if error.errno == errno.EADDRNOTAVAIL:
        return HostError("this machine has no such address", where=where, hint="bind to 127.0.0.1")
    return HostError(f"cannot listen there: {error.strerror or error}", where=where, hint="choose another port")


def next_free(address: str, first: int, *, taken: frozenset[int] = frozenset()) -> int:
    """The first free port from `first` on that is not in `taken`. Raises HostError after 200 busy ones."""
    for port in range(first, min(first + SPAN, 65536)):
        if port not in taken and is_free(address, port):
            return port
    raise HostError(f"no free port from {first} on", where=address, hint="choose another range")


def find_holder(port: int, *, proc: Path = PROC) -> PortHolder | None:
    """The process that listens on `port`; None where that cannot be seen (another user's, or no /proc)."""
    inodes = {f"socket:[{inode}]" for name in ("tcp", "tcp6") for inode in _listening(proc / "net" / name, port)}
    if not inodes:
        return None
    for folder in sorted(proc.iterdir(), key=lambda path: (len(path.name), path.name)):
        if folder.name.isdigit() and any(link in inodes for link in _links(folder / "fd")):
            return PortHolder(pid=int(folder.name), command=_command(folder))
    return None


def _listening(table: Path, port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on `port`; the port is the hexadecimal tail of the local address."""
    if not table.is_file():
        return
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
            yield words[9]


def _links(folder: Path) -> Iterator[str]:
    try:
        for path in folder.iterdir():
            yield str(path.readlink())
    except OSError:
        return  # another user's process, or one that just ended: not ours to see


def _command(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process that just ended"


class HostPorts:
    """The questions above as one object, for the tasks."""

    def is_free(self, address: str, port: int) -> bool:
        return is_free(address, port)

    def leads_there(self, address: str, port: int) -> bool:
        """What an engine publishes here, leads to its container."""
        return True

    def holder(self, port: int) -> str | None:
        found = find_holder(port)
        return None if found is None else str(found)
