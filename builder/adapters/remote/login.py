"""Who a machine is, and who we are to it: the host key held against known_hosts, and the ways to log in.

Owns the order in which keys are offered and the questions that it takes. What opened a lock once is kept in memory
(`Credentials`), so that a connection that broke can be made again without anybody there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import paramiko
from paramiko.agent import Agent
from paramiko.pkey import UnknownKeyType

from builder.adapters.remote.knownhosts import KnownKey, add_known, find_known, fingerprint
from builder.adapters.remote.steps import DEADLINES, Ask, Question, StepError, within

if TYPE_CHECKING:
    from builder.adapters.remote.sshconfig import Target

TRIES: Final = 3
YES: Final = ("y", "yes")


@dataclass(slots=True)
class Credentials:
    """What a person typed or unlocked, by machine: never written anywhere, never shown."""

    keys: dict[Path, paramiko.PKey] = field(default_factory=dict, repr=False)
    passwords: dict[str, str] = field(default_factory=dict, repr=False)


# ------------------------------------------------------------------------------------------------- the host key


def prefer_known(transport: paramiko.Transport, target: Target) -> tuple[KnownKey, ...]:
    """What known_hosts says, and let the server show a key of a kind that is known, if it has one."""
    known = find_known(target.known_hosts, target.key_name)
    options = transport.get_security_options()
    wanted = {kind for key in known if not key.revoked for kind in _signed_by(key.kind)}
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in wanted)
    return known


def _signed_by(kind: str) -> tuple[str, ...]:
    """The algorithms of a kind of key: RSA has several."""
    return ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,)


def check_host_key(transport: paramiko.Transport, target: Target, known: tuple[KnownKey, ...], ask: Ask) -> str:
    """What was found, in words. Raises StepError for a key that is revoked, another one than the known one, or unknown
    and nobody says yes to it."""
    key = transport.get_remote_server_key()
    kind, blob, shown = key.get_name(), key.asbytes(), fingerprint(key.asbytes())
    same = [item for item in known if item.blob == blob]
    if revoked := next((item for item in same if item.revoked), None):
        raise _refused(target, f"{shown} is revoked", f"{revoked.place} says so: do not use this machine")
    if same:
        return f"{kind} {shown}, {same[0].place}"
    if others := [item for item in known if not item.revoked]:
        before = "\n".join(f"  {item.place}  {item.kind} {fingerprint(item.blob)}" for item in others)
        raise StepError(
            "host key",
            f"it has changed: {target.host} shows {kind} {shown} now",
            where=others[0].place,
            detail=f"known so far:\n{before}",
            hint="somebody may be listening, or the machine was installed anew: ask who runs it; then "
            f"`ssh-keygen -R '{target.key_name}' -f {others[0].file}` forgets the old one",
        )
    if target.strict == "yes":
        raise _refused(target, f"{kind} {shown} is not known", "StrictHostKeyChecking is yes: add it to known_hosts")
    if target.strict == "ask":
        text = f"{target.host} is not known. It shows {kind} {shown}.\nGo on, and remember it? (yes/no) "
        answer = ask(Question(text=text))
        if answer is None:
            hint = "run this in a terminal once; accept-new for `StrictHostKeyChecking` in ~/.ssh/config asks nobody"
            raise _refused(target, f"{kind} {shown} is not known, and nobody is there to ask", hint)
        if answer.strip().lower() not in YES and answer.strip() != shown:
            raise _refused(target, f"{kind} {shown} was not accepted", "nothing was remembered")
    if target.known_hosts:
        add_known(target.known_hosts[0], target.key_name, kind, blob, hashed=target.hashed)
    return f"{kind} {shown}, new"


def _refused(target: Target, message: str, hint: str) -> StepError:
    return StepError("host key", message, where=target.where, hint=hint)


# ---------------------------------------------------------------------------------------------------- the login


def log_in(transport: paramiko.Transport, target: Target, credentials: Credentials, ask: Ask) -> str:
    """By key, else by password; how, in words. Raises StepError where nothing opens the door."""
    transport.auth_timeout = DEADLINES["login"]
    tried: list[str] = []
    allowed = _ask_methods(transport, target)  # OpenSSH begins so, too
    if allowed is None:
        return f"{target.user}, without any key"
    if "publickey" in allowed:
        for name, key in _offer_keys(target, credentials, ask):
            tried.append(name)
            try:
                if not (more := transport.auth_publickey(target.user, key)):
                    return f"{target.user}, {name}"
            except paramiko.AuthenticationException:
                if transport.is_active():
                    continue
                raise _too_many(target, tried) from None
            except (paramiko.SSHException, EOFError) as error:
                raise _too_many(target, tried) from error
            allowed = list(more)  # the key is right, and one more thing is asked for
            break
    if {"password", "keyboard-interactive"} & set(allowed) and _by_password(transport, target, credentials, ask):
        return f"{target.user}, password"
    raise _not_let_in(target, tried)


def _not_let_in(target: Target, tried: Sequence[str]) -> StepError:
    offered, first = ", ".join(tried), ""
    if not tried and (locked := [str(path) for path in target.identities if path.is_file()]):
        offered, first = f"no key: {', '.join(locked)} is locked", "`ssh-add` unlocks it, or a run in a terminal; "
    elif not tried:
        offered, first = "no key: there is none in ~/.ssh, nor in an agent", "`ssh-keygen -t ed25519` makes one; "
    port = f"-p {target.port} " if target.port != 22 else ""
    return StepError(
        "login",
        f"{target.user} is not let in; offered: {offered}",
        where=target.where,
        hint=f"{first}`ssh-copy-id {port}{target.user}@{target.address.host}` puts your key there; `User` and "
        "`IdentityFile` in ~/.ssh/config choose others",
    )


def _ask_methods(transport: paramiko.Transport, target: Target) -> list[str] | None:
    """The ways that the server offers to this user; None where it lets them in at once."""
    try:
        transport.auth_none(target.user)
    except paramiko.BadAuthenticationType as refusal:
        return list(refusal.allowed_types)
    except paramiko.AuthenticationException:
        return ["publickey"]
    return None


def _too_many(target: Target, tried: list[str]) -> StepError:
    return StepError(
        "login",
        f"the server hung up after {len(tried)} keys",
        where=target.where,
        hint="`IdentitiesOnly yes` and `IdentityFile` in ~/.ssh/config offer one key instead of all",
        lasting=False,  # a machine that starts up or goes down hangs up, too
    )


def _by_password(transport: paramiko.Transport, target: Target, credentials: Credentials, ask: Ask) -> bool:
    for _ in range(TRIES):
        known = credentials.passwords.get(target.where)
        answer = known if known is not None else ask(Question(text=f"password of {target.where}: ", secret=True))
        if answer is None:
            return False
        try:
            transport.auth_password(target.user, answer)
        except paramiko.AuthenticationException:
            credentials.passwords.pop(target.where, None)
            if known is not None or not transport.is_active():
                return False
            continue
        if not transport.is_authenticated():  # it is right, and one more thing is asked for
            return False
        credentials.passwords[target.where] = answer
        return True
    return False


def _offer_keys(target: Target, credentials: Credentials, ask: Ask) -> Iterator[tuple[str, paramiko.PKey]]:
    """What the agent holds first, then the files, each key once. Locked files come last: they cost a question."""
    offered: set[bytes] = set()
    wanted = {blob for path in target.identities if (blob := _read_public(path))}
    for key in _agent_keys(target):
        if not target.only_identities or key.asbytes() in wanted:
            offered.add(key.asbytes())
            yield "agent", key
    locked: list[Path] = []
    for path in target.identities:
        if not path.is_file() or _read_public(path) in offered:
            continue
        if path in credentials.keys:
            yield str(path), credentials.keys[path]
        elif found := _load(path, None, target):
            yield str(path), found
        else:
            locked.append(path)
    for path in locked:
        if unlocked := _unlock(path, target, ask):
            credentials.keys[path] = unlocked
            yield str(path), unlocked


def _agent_keys(target: Target) -> tuple[paramiko.PKey, ...]:
    """paramiko finds the agent by the environment alone, so that another socket has to be put there."""
    if target.agent is None:
        return ()
    before = os.environ.get("SSH_AUTH_SOCK")
    os.environ["SSH_AUTH_SOCK"] = target.agent
    try:
        return within(DEADLINES["agent"], lambda: tuple(Agent().get_keys()))
    except (paramiko.SSHException, OSError):
        return ()  # no agent answers there: the files are left
    finally:
        if before is None:
            del os.environ["SSH_AUTH_SOCK"]
        else:
            os.environ["SSH_AUTH_SOCK"] = before


def _read_public(path: Path) -> bytes | None:
    """What the .pub file beside a key says; None where there is none that can be read."""
    try:
        line = path.with_name(f"{path.name}.pub").read_text(encoding="utf-8", errors="replace")
        return bytes(paramiko.pkey.PublicBlob.from_string(line).key_blob)
    except (OSError, ValueError, IndexError):
        return None


def _unlock(path: Path, target: Target, ask: Ask) -> paramiko.PKey | None:
    """Ask for its passphrase; None where nobody answers, or says the wrong thing three times."""
    for _ in range(TRIES):
        answer = ask(Question(text=f"passphrase of {path}: ", secret=True))
        if answer is None or not answer:
            return None
        if found := _load(path, answer, target):
            return found
    return None


def _load(path: Path, passphrase: str | None, target: Target) -> paramiko.PKey | None:
    """The key, with the certificate that lies beside it; None where another passphrase is needed."""
    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)  # type: ignore[arg-type]  # str will not do for cryptography
    except (paramiko.PasswordRequiredException, TypeError):
        return None  # it is locked
    except (paramiko.SSHException, UnknownKeyType, OSError, ValueError) as error:
        if passphrase is not None:
            return None
        raise StepError(
            "login", f"{path} cannot be used: {error}", where=target.where, hint="name another one by `IdentityFile`"
        ) from error
