"""The SSH door of the group `doors`: by key, as the user, and in no other way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.ssh_door import SshDoor, has_keys
from builder.suite.cases import case
from builder.suite.results import CheckFailure, Skipped

if TYPE_CHECKING:
    from builder.suite.subject import Subject


def _door(subject: Subject) -> SshDoor:
    host, port = subject.place("ssh")
    return SshDoor(host=host, port=port, known_hosts=Path(subject.keys.known_hosts))


def _identity(subject: Subject) -> Path | None:
    return Path(subject.keys.identity) if subject.keys.identity else None


@case("doors.ssh-host-key", "the SSH server shows the host key that this machine pinned", door="ssh")
def host_key(subject: Subject) -> None:
    shown = _door(subject).host_key()
    pinned = Path(subject.keys.known_hosts).read_text(encoding="utf-8")
    if shown not in pinned:
        raise CheckFailure("the host key of known_hosts", f"{shown[:40]}...", subject.keys.known_hosts)


@case("doors.ssh-methods", "the SSH server offers keys and nothing else", door="ssh")
def methods(subject: Subject) -> None:
    offered = _door(subject).offered_methods(subject.user)
    if offered != ("publickey",):
        told = ", ".join(offered) or "entry without any"
        raise CheckFailure("publickey alone", told, "devbox exec -- cat /etc/devbox/sshd_config")


@case("doors.ssh-key", "a key opens a session with the workstation's environment", door="ssh")
def key(subject: Subject) -> None:
    identity = _identity(subject)
    if not has_keys(identity):
        raise Skipped(
            "the authorized keys are a person's own, and no private key without a passphrase is at hand "
            "(agent, ~/.ssh): nothing could be tried"
        )
    found = _door(subject).run(subject.user, identity, 'echo "$(id -un) $DEVBOX_USER"')
    if found is None and identity is None:
        raise Skipped("none of the private keys at hand is an authorized one: nothing could be tried")
    wanted = f"{subject.user} {subject.user}"
    if found is None or found.strip() != wanted:
        raise CheckFailure(f"a session that says {wanted!r}", repr(found) if found else "no login", "devbox logs sshd")


@case("doors.ssh-password", "no password opens SSH", door="ssh")
def password(subject: Subject) -> None:
    if _door(subject).accepts_password(subject.user, subject.keys.password.reveal()):
        raise CheckFailure("a password to be refused", "the VNC password logs in by SSH", "devbox logs sshd")


@case("doors.ssh-root", "root does not come in by SSH", door="ssh")
def root(subject: Subject) -> None:
    """With the user's own key, if there is one: it must not be root's too."""
    identity = _identity(subject)
    if has_keys(identity):
        if _door(subject).accepts_key("root", identity):
            raise CheckFailure("root to be refused", "the user's key logs in as root", "devbox logs sshd")
    elif _door(subject).accepts_password("root", subject.keys.password.reveal()):
        raise CheckFailure("root to be refused", "a password logs in as root", "devbox logs sshd")


CASES = (host_key, methods, key, password, root)
