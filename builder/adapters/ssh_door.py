"""The SSH door, tried from outside by paramiko: who is let in, who is not, and which host key stands behind it.

Owns the attempts; what they should end with is the suite's to say. Logs in and runs one command, changes nothing. A
server that shows another host key than the pinned one gets neither a name nor a password.
"""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paramiko
from paramiko.pkey import UnknownKeyType

from builder.adapters.files import cannot
from builder.errors import NotReadyError

WAIT_S: Final = 8.0


class SshDoorError(NotReadyError):
    """Nothing at that port speaks SSH, the connection broke, or the server is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshDoor:
    """Where an SSH server listens, and the file that says which host key it has."""

    host: str
    port: int
    known_hosts: Path

    def offered_methods(self, user: str) -> tuple[str, ...]:
        """The ways to log in that the server offers to `user`; empty when it lets anyone in without any."""
        with self._transport() as transport:
            try:
                transport.auth_none(user)
            except paramiko.BadAuthenticationType as refusal:
                return tuple(sorted(refusal.allowed_types))
            except paramiko.AuthenticationException:
                return ("nothing",)
        return ()

    def accepts_password(self, user: str, password: str) -> bool:
        with self._transport() as transport:
            try:
                transport.auth_password(user, password, fallback=False)
            except paramiko.AuthenticationException:
                return False
        return True

    def accepts_key(self, user: str, identity: Path | None) -> bool:
        """Log in with the private key at `identity`, or with each of the person's own (agent, ~/.ssh)."""
        for key in _load_keys(identity):
            with self._transport() as transport:
                try:
                    transport.auth_publickey(user, key)
                except paramiko.AuthenticationException:
                    continue
                return True
        return False

    def run(self, user: str, identity: Path | None, command: str) -> str | None:
        """What `command` writes in a session by key; None when no key opens the door."""
        for key in _load_keys(identity):
            with self._transport() as transport:
                try:
                    transport.auth_publickey(user, key)
                except paramiko.AuthenticationException:
                    continue
                channel = transport.open_session(timeout=WAIT_S)
                channel.settimeout(WAIT_S)
                channel.exec_command(command)
                with channel.makefile("rb") as output:
                    return bytes(output.read()).decode("utf-8", "replace")
        return None

    def host_key(self) -> str:
        """Type and base64 of the key that the server shows, whatever it is."""
        with self._transport(pinned=False) as transport:
            return _shown_key(transport)

    @contextmanager
    def _transport(self, *, pinned: bool = True) -> Iterator[paramiko.Transport]:
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs each refusal, which is what we are after
        where = f"{self.host}:{self.port}"
        try:
            wire = socket.create_connection((self.host, self.port), WAIT_S)
        except OSError as error:
            raise SshDoorError(f"nothing can be reached there: {error.strerror or error}", where=where) from error
        transport = paramiko.Transport(wire)
        transport.auth_timeout = transport.banner_timeout = WAIT_S
        try:
            transport.start_client(timeout=WAIT_S)
            if pinned and _shown_key(transport) not in _read_pins(self.known_hosts):
                raise SshDoorError("the server shows another host key than the pinned one", where=where)
            yield transport
        except (paramiko.AuthenticationException, SshDoorError):
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise SshDoorError(f"no sound SSH connection: {error}", where=where) from error
        finally:
            transport.close()


def _shown_key(transport: paramiko.Transport) -> str:
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"


def _read_pins(known_hosts: Path) -> frozenset[str]:
    """Type and base64 of every key in the file, which is one workstation's: `* ssh-ed25519 AAAA...`."""
    try:
        lines = known_hosts.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise cannot("read", known_hosts, error) from error
    return frozenset(" ".join(line.split()[1:3]) for line in lines)


def has_keys(identity: Path | None) -> bool:
    """Whether there is any private key to try the door with."""
    return bool(_load_keys(identity))


def _load_keys(identity: Path | None) -> list[paramiko.PKey]:
    if identity is not None:
        return [paramiko.Ed25519Key.from_private_key_file(str(identity))] if identity.is_file() else []
    return [*paramiko.Agent().get_keys(), *_own_keys()]


def _own_keys() -> Iterator[paramiko.PKey]:
    """The person's keys that need no passphrase: nobody is asked for one during a check."""
    for path in sorted(path.with_suffix("") for path in (Path.home() / ".ssh").glob("*.pub")):
        try:
            yield paramiko.PKey.from_path(path)
        except (paramiko.SSHException, UnknownKeyType, OSError, ValueError, TypeError):
            continue
