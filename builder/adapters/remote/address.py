"""The address of a machine with an engine, `ssh://user@host:port`, and where its tunnel lies on this one.

Imports next to nothing: `status` and a no-op `up` ask here. Connects to nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.errors import ConfigError, HostError

HERE: Final = "local"  # in place of an address: this machine, whatever devbox.yaml says
SCHEME: Final = "ssh://"
# Nothing that a shell, or ssh's own options, could take for something else: a ProxyCommand is filled in with both.
SHAPE: Final = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[1-9][0-9]{0,4}))?/?"
)
HINT: Final = "ssh://user@host, ssh://host:2222, or a Host of ~/.ssh/config: ssh://NAME"
MAX_SOCKET: Final = 100  # bytes of a path that a socket can have, with some to spare (unix(7): 108)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """As it was written; ~/.ssh/config may say otherwise."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return SCHEME + (f"{self.user}@" if self.user else "") + name + (f":{self.port}" if self.port else "")


def parse_address(text: str, *, where: str) -> Address:
    """Raises ConfigError for what is no such address, without repeating it: it may hold a password."""
    found = SHAPE.fullmatch(text.strip())
    if found is None or int(found["port"] or 1) > 65535:
        raise ConfigError("is no address of a machine by SSH", where=where, hint=HINT)
    return Address(
        host=found["host"].strip("[]"), user=found["user"], port=int(found["port"]) if found["port"] else None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the tunnel to one address lies: its sockets, its log, and the lock that it holds while it lives."""

    folder: Path

    @property
    def engine(self) -> Path:
        return self.folder / "engine.sock"

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def circle(self) -> Path:
        """Is there when what runs on the way to the machine wanted this tunnel, while it was being made."""
        return self.folder / "circle"

    @property
    def log(self) -> Path:
        return self.folder / "log"


def tunnels_folder(environment: Mapping[str, str]) -> Path:
    """Below the user's runtime folder, which goes with the last login; where there is none, beside the state of
    workstations, which `uninstall` removes while it still needs a tunnel."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "devbox"
    return find_state(environment) / "devbox-tunnels"


def find_state(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or "/") / ".local/state")


def find_place(address: Address, environment: Mapping[str, str]) -> Place:
    """Raises HostError where the path is too long for a socket."""
    folder = tunnels_folder(environment) / hashlib.sha256(str(address).encode()).hexdigest()[:12]
    place = Place(folder=folder)
    if len(os.fsencode(place.control)) > MAX_SOCKET:
        hint = "set XDG_RUNTIME_DIR to a folder of yours with a shorter path"
        raise HostError("this path is too long for a socket", where=str(folder), hint=hint)
    return place
