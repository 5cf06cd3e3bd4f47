"""What ~/.ssh/config says of a host, by paramiko's reader, and what that one lacks: Include, and our own defaults.

Owns the words of OpenSSH for each choice. Opens no connection. Source: ssh_config(5).
"""

from __future__ import annotations

import glob
import os
import pwd
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paramiko
from paramiko.config import SSHConfig

from builder.adapters.files import cannot
from builder.adapters.remote.address import Address, parse_address
from builder.errors import HostError

DEPTH: Final = 16  # of files that include each other, as OpenSSH has it
PROXIES: Final = ("proxycommand", "proxyjump")
TOKEN: Final = re.compile(r"%([%hnpr])")
STANDARD_KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
NOWHERE: Final = {"none": "/dev/null"}  # what is read is nothing, and what is written is gone
TIME: Final = re.compile(r"(\d+[smhdwSMHDW])*\d*")
UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
STRICT: Final = {
    **dict.fromkeys(("yes", "true"), "yes"),
    **dict.fromkeys(("accept-new", "no", "off", "false"), "accept-new"),  # we go on past no changed key
    "ask": "ask",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How to reach one machine, as OpenSSH would."""

    address: Address
    host: str
    port: int
    user: str
    identities: tuple[Path, ...]
    only_identities: bool
    agent: str | None  # its socket
    known_hosts: tuple[Path, ...]  # the first one is written to
    strict: str  # yes | ask | accept-new
    hashed: bool
    key_name: str  # as known_hosts has it
    jumps: tuple[Address, ...] = ()
    command: str = ""  # of a ProxyCommand
    connect_s: float = 10.0
    alive_s: float = 10.0  # between two looks whether the connection still stands
    patience: int = 3  # so many times as long an answer to that may take: on a slow line much may be before it

    @property
    def where(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def find_target(address: Address, environment: Mapping[str, str]) -> Target:
    """Raises HostError for a config that cannot be read, or says what cannot be done."""
    home = Path(environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    config = _read_config(address, (home / ".ssh/config", Path("/etc/ssh/ssh_config")), home)
    try:
        told: Mapping[str, str | list[str] | None] = dict(config.lookup(address.host))
    except (paramiko.SSHException, OSError, ValueError, KeyError) as error:
        hint = f"`ssh -G {address.host}` shows how OpenSSH understands it"
        raise HostError(f"it cannot be used for {address.host}: {error}", where="~/.ssh/config", hint=hint) from error

    def text(key: str, default: str = "") -> str:
        found = told.get(key, default)
        return found if isinstance(found, str) else " ".join(found or ())

    host = text("hostname", address.host)
    port = _port(text("port", "22"))
    user = text("user") or environment.get("USER") or pwd.getpwuid(os.getuid()).pw_name
    given = told.get("identityfile") or []
    named = [_expand(item, home) for item in ([given] if isinstance(given, str) else given)]
    files = text("userknownhostsfile") or f"{home}/.ssh/known_hosts {home}/.ssh/known_hosts2"
    system = text("globalknownhostsfile") or "/etc/ssh/ssh_known_hosts"
    alias = text("hostkeyalias")
    way = next((key for key in told if key in PROXIES), "")  # the first one holds, also where it says `none`
    through = "" if text(way).lower() == "none" else text(way)
    tokens = {"%": "%", "h": host, "n": address.host, "p": str(port), "r": user}
    agent = text("identityagent", environment.get("SSH_AUTH_SOCK", ""))
    return Target(
        address=address,
        host=host,
        port=port,
        user=user,
        identities=tuple(named or [home / ".ssh" / name for name in STANDARD_KEYS]),
        only_identities=text("identitiesonly").lower() == "yes",
        agent=None if agent in ("", "none") else _find_agent(agent, home, environment),
        known_hosts=tuple(_expand(NOWHERE.get(item, item), home) for item in (files + " " + system).split()),
        strict=_strict(text("stricthostkeychecking", "ask")),
        hashed=text("hashknownhosts").lower() == "yes",
        key_name=(alias or (host if port == 22 else f"[{host}]:{port}")).lower(),
        jumps=_jumps(through) if way == "proxyjump" else (),
        command=TOKEN.sub(lambda found: tokens[found[1]], through) if way == "proxycommand" else "",
        connect_s=_seconds(text("connecttimeout")) or 10.0,
        alive_s=_seconds(text("serveraliveinterval")) or 10.0,
        patience=int(_seconds(text("serveralivecountmax"))) or 3,
    )


def find_jumps(target: Target, environment: Mapping[str, str]) -> tuple[Target, ...]:
    """The machines in between, the nearest first. As with OpenSSH that one is reached as its own section says, which
    may be through others; each of the rest through the one before it, and by nothing else."""
    found = [find_target(address, environment) for address in target.jumps]
    while found and (before := found[0].jumps):
        if len(found) > DEPTH or set(before) & {target.address, *(item.address for item in found)}:
            raise HostError(
                f"the way to {target.address} leads through {found[0].address}, and the way there in a circle",
                where="ProxyJump of ~/.ssh/config",
                hint=f"`Host {found[0].address.host}` with `ProxyJump none` before the section that matches both",
            )
        found = [*(find_target(address, environment) for address in before), *found]
    return tuple(found)


def _strict(word: str) -> str:
    found = STRICT.get(word.lower())
    if found is None:
        raise HostError(
            f"StrictHostKeyChecking {word} is unknown", where="~/.ssh/config", hint="yes, ask or accept-new"
        )
    return found


def _seconds(text: str) -> float:
    """A time as OpenSSH writes it (sshd_config(5), TIME FORMATS); 0 for none, which is said in several ways."""
    if text.lower() in ("", "none"):
        return 0.0
    if not TIME.fullmatch(text):
        raise HostError(f"{text} is no time", where="~/.ssh/config", hint="a number of seconds, or 1m30s")
    return float(sum(int(number) * UNITS[unit.lower()] for number, unit in re.findall(r"(\d+)(\D?)", text)))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise HostError(f"{text} is no port", where="~/.ssh/config", hint="a number from 1 to 65535")
    return int(text)


def _jumps(text: str) -> tuple[Address, ...]:
    return tuple(
        parse_address(item if "://" in item else f"ssh://{item}", where="ProxyJump of ~/.ssh/config")
        for item in text.split(",")
        if item
    )


def _find_agent(word: str, home: Path, environment: Mapping[str, str]) -> str | None:
    if word == "SSH_AUTH_SOCK":
        return environment.get("SSH_AUTH_SOCK")
    return environment.get(word[1:]) if word.startswith("$") else str(_expand(word, home))


def _expand(text: str, home: Path) -> Path:
    plain = text.strip('"').replace("%d", str(home))
    return home / plain[2:] if plain.startswith("~/") else Path(plain)


def _read_config(address: Address, files: Sequence[Path], home: Path) -> SSHConfig:
    """What the address says, and one text of all files, the person's first: the first value of a key holds."""
    config = SSHConfig()
    config.TOKENS_BY_CONFIG_KEY = {**config.TOKENS_BY_CONFIG_KEY, "proxycommand": []}  # it knows no %n and no %%
    config.parse([f"{key} {value}" for key, value in (("Port", address.port), ("User", address.user)) if value])
    for file in files:
        text = "\n".join(_read_lines(file, home, 0))
        # Each file begins outside of any section.
        try:
            config.parse(text.splitlines(keepends=True))
        except (paramiko.SSHException, ValueError) as error:
            raise HostError(f"cannot be read: {error}", where=str(file), hint="`ssh -G NAME` reads it, too") from error
    return config


def _read_lines(file: Path, home: Path, depth: int) -> list[str]:
    """The lines of a file, with those of what it includes in their place."""
    if depth > DEPTH:
        raise HostError("files include each other too deeply", where=str(file), hint="look at the lines `Include`")
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise cannot("read", file, error) from error
    found: list[str] = []
    section = "Host *"
    for line in lines:
        key, *names = line.replace("=", " ", 1).split() or [""]
        if key.lower() in ("host", "match"):
            section = line
        if key.lower() != "include":
            found.append(line)
            continue
        for name in names:
            pattern = _expand(name, home)
            base = pattern if pattern.is_absolute() else file.parent / pattern
            for path in sorted(glob.glob(str(base))):  # noqa: PTH207  # absolute: pathlib's glob takes none
                found += [*_read_lines(Path(path), home, depth + 1), section]  # its last section ends with it
    return found
