"""Secrets of one workstation, below the user's state directory: made once, kept, 0600 in a folder of 0700.

Owns `<state>/devbox/<project>-<8 hex of the workspace's path>/`: `secrets/` is what the container sees (VNC password,
SSH host key, authorized keys, the person's name for Git; of an exposed one also its certificate and the hash of its web
password); `id_ed25519`, `known_hosts` and `web-password` beside it are for this machine alone. Prints and logs nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import os
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from builder.adapters import places
from builder.adapters.files import cannot, remove_parts, write_atomic
from builder.adapters.gitidentity import render_git_identity
from builder.adapters.private import give, private_folder, read_private, remove_file, write_private
from builder.errors import ConfigError, HostError
from builder.model import Exposure, Keys, Secret

PASSWORD_LENGTH: Final = 8  # VncAuth is DES with a key of 8 characters and ignores the rest
# 55 characters that nobody mistakes for another one: 8 of them are 46 bits.
ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRTUVWXYZ"
WEB_PASSWORD_LENGTH: Final = 20  # 115 bits: long enough that its hash needs no salt and no slowness
KEY_TYPES: Final = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
KEY_HINT: Final = "a line of a .pub file: `ssh-ed25519 AAAA... name`"
MAX_KEY_FILE: Final = 16_384
PASSWORD: Final = "vnc-password"  # noqa: S105  a file name
WEB_PASSWORD: Final = "web-password"  # noqa: S105  a file name
WEB_HASH: Final = "web-password.sha256"
TLS: Final = "tls.pem"
AUTHORITY: Final = "authority"
HOST_KEY: Final = "ssh_host_ed25519_key"
AUTHORIZED: Final = "authorized_keys"
IDENTITY: Final = "id_ed25519"
KNOWN_HOSTS: Final = "known_hosts"
GIT: Final = "gitconfig"


def nobody() -> Mapping[str, str]:
    """The Git identity of somebody who has none."""
    return {}


class KeyStore:
    """The secrets below one state directory; `home` is where the person's own public keys are looked for, `identity`
    asks Git for their name."""

    def __init__(self, state: Path, home: Path, *, identity: Callable[[], Mapping[str, str]] = nobody) -> None:
        self._state = state
        self._home = home
        self._identity = identity

    def folder(self, project: str, workspace: Path) -> Path:
        """Of one workstation."""
        return self._state / "devbox" / places.name_folder(project, workspace)

    def secrets(self, project: str, workspace: Path) -> str:
        """Path of what the container of a workstation sees."""
        return str(self.folder(project, workspace) / "secrets")

    def new_token(self) -> str:
        return secrets.token_hex(16)

    def remember(self, project: str, workspace: Path, token: str) -> None:
        """That the secrets are of this workspace, which has `token`."""
        places.write_place(self.folder(project, workspace), places.Place(path=str(workspace), token=token))

    def owner(self, project: str, workspace: str) -> str:
        """Where the workspace is that was at `workspace` when it made something; there, for all that is known here."""
        folder = self.folder(project, Path(workspace))
        place = places.read_place(folder) if folder.is_symlink() else None
        return workspace if place is None else place.path

    def find_moved(self, project: str, now: Path, token: str) -> tuple[str, ...]:
        """Where the workspace at `now` was before, by its token; nothing where it has its secrets."""
        here = self.folder(project, now)
        if not here.is_symlink() and (place := places.read_place(here)) and place.path == str(now):
            return ()
        return places.find_places((self._state / "devbox").glob(f"{project}-????????"), token)

    def move(self, project: str, before: str, now: Path) -> None:
        """Of a workspace that was at `before`: its secrets go along. Raises HostError where both have some of worth."""
        places.move_folder(self.folder(project, Path(before)), self.folder(project, now), str(now))

    def tidy(self, workspace: Path) -> None:
        """Take away what a killed process half wrote, whatever the name of the workstation was then."""
        for folder in (self._state / "devbox").glob(self.folder("*", workspace).name):
            if not folder.is_symlink():  # else it is another workspace's, which may be at work
                remove_parts(folder)

    def ensure(
        self, project: str, workspace: Path, authorized: Sequence[str], *, reader: tuple[int, int] | None = None
    ) -> Keys:
        """All secrets of a workstation, those that are missing made now.

        `authorized` are public keys, or paths of files with them; none given means the person's own ones, and where
        there are none either, a key pair is made for this workstation. Raises ConfigError for a key that is none.
        `reader` (uid, gid) is who reads them inside, where it is not root: what root made is given to that one, once
        and for all. Nobody else on this machine gets to it by that: the folder above stays root's, 0700.
        """
        folder = self.folder(project, workspace)
        hidden = folder / "secrets"
        places.refuse_moved(folder)
        for path in (self._state / "devbox", folder):
            private_folder(path)
        private_folder(hidden, given_away=os.geteuid() == 0)
        password = _ensure_password(hidden / PASSWORD)
        public = _ensure_pair(hidden / HOST_KEY, comment=f"devbox {project}")
        # The file is for this one workstation, so that any address and port of it means this key.
        write_private(folder / KNOWN_HOSTS, f"* {_without_comment(public)}\n")
        keys = self._authorized(authorized)
        identity = None
        if not keys:
            identity = folder / IDENTITY
            keys = [_ensure_pair(identity, comment=f"devbox {project} client")]
        write_private(hidden / AUTHORIZED, "".join(f"{key}\n" for key in keys))
        if name := self._identity():
            write_private(hidden / GIT, render_git_identity(name))
        else:
            remove_file(hidden / GIT)
        give(hidden, reader)
        web = read_private(folder / WEB_PASSWORD)
        ca = self._authority / "ca.pem"
        return Keys(
            folder=str(hidden),
            password=password,
            identity=None if identity is None else str(identity),
            known_hosts=str(folder / KNOWN_HOSTS),
            web_password=Secret(web.decode("ascii", "replace").strip()) if web else None,
            authority=str(ca) if ca.is_file() else None,
        )

    def ensure_web(self, project: str, workspace: Path, exposure: Exposure | None, addresses: Sequence[str]) -> bool:
        """What the web desktop needs to be exposed: a password, a certificate; whether one of them is new.

        `addresses` of this machine go into a certificate of our own where it is reached by them. What a
        workstation needs no more is removed. Raises ConfigError for a given certificate that will not do.
        """
        folder = self.folder(project, workspace)
        hidden = folder / "secrets"
        if exposure is None:
            for path in (folder / WEB_PASSWORD, hidden / WEB_HASH, hidden / TLS):
                remove_file(path)
            return False
        from builder.adapters import certificates

        places.refuse_moved(folder)
        for path in (self._state / "devbox", folder, self._authority):
            private_folder(path)
        private_folder(hidden, given_away=os.geteuid() == 0)
        if exposure.certificate and exposure.key:
            given = Path(exposure.certificate), Path(exposure.key)
            renewed = certificates.copy_given(*given, hidden / TLS, exposure.names)
        else:
            reached = _reached(exposure.address, addresses)
            renewed = certificates.ensure_own(self._authority, hidden / TLS, (*exposure.names, *reached))
        known = read_private(folder / WEB_PASSWORD)
        if known and read_private(hidden / WEB_HASH) == _hash_line(known):
            return renewed
        _new_web_password(folder, hidden)
        return True

    def rotate_web_password(self, project: str, workspace: Path) -> Secret:
        """A new web password in place of the old one; the web desktop takes it over when it starts."""
        folder = self.folder(project, workspace)
        if not (folder / WEB_PASSWORD).is_file():
            hint = "`expose: true` in devbox.yaml and `devbox up` make one"
            raise HostError("this workstation is not exposed, so its web desktop has no password", hint=hint)
        secret = _new_web_password(folder, folder / "secrets")
        give(folder / "secrets", None)
        return secret

    def forget(self, project: str, workspace: Path) -> None:
        """Remove the secrets of a workstation that is gone with its data: they open nothing any more.

        What others keep beside them (the password of a backup) stays, and with it the folder.
        """
        folder = self.folder(project, workspace)
        hidden = folder / "secrets"
        inside = (PASSWORD, HOST_KEY, f"{HOST_KEY}.pub", AUTHORIZED, GIT, WEB_HASH, TLS)
        beside = (IDENTITY, f"{IDENTITY}.pub", KNOWN_HOSTS, WEB_PASSWORD)
        places.refuse_moved(folder)
        try:
            places.forget_place(folder)
            for path in (*(hidden / name for name in inside), *(folder / name for name in beside)):
                path.unlink(missing_ok=True)
            for emptied in (hidden, folder):
                if emptied.is_dir() and not any(emptied.iterdir()):
                    emptied.rmdir()
        except OSError as error:
            raise cannot("remove", Path(error.filename or folder), error) from error

    @property
    def _authority(self) -> Path:
        """Of the person, for all workstations. No workstation's folder has such a name: they end with a hash."""
        return self._state / "devbox" / AUTHORITY

    def rotate_password(self, project: str, workspace: Path) -> Secret:
        """A new VNC password in place of the old one; a running workstation sees it through its mount."""
        path = self.folder(project, workspace) / "secrets" / PASSWORD
        if not path.is_file():
            raise HostError("this workstation has no password yet", where=str(path), hint="devbox up makes one")
        secret = _new_password(path)
        give(path.parent, None)
        return secret

    def _authorized(self, given: Sequence[str]) -> list[str]:
        if not given:
            return list(dict.fromkeys(self._own_keys()))
        found: list[str] = []
        for text in given:
            if text.split(" ")[0] in KEY_TYPES:
                found.append(parse_public_key(text, where="ssh.authorized_keys"))
            else:
                found.extend(_read_keys(self._expand(text)))
        return list(dict.fromkeys(found))

    def _expand(self, text: str) -> Path:
        return self._home / text[2:] if text.startswith("~/") else Path(text)

    def _own_keys(self) -> Iterator[str]:
        """Keys in ~/.ssh/*.pub. What is none that we know (DSA, a certificate) is not offered to the server either."""
        folder = self._home / ".ssh"
        for path in sorted(folder.glob("*.pub")):
            try:
                yield from _read_keys(path)
            except ConfigError:
                continue


def _reached(address: str, addresses: Sequence[str]) -> Sequence[str]:
    """By which of a machine's `addresses` one reaches what is published on `address`: :: is not open to IPv4."""
    known = ipaddress.ip_address(address)
    if not known.is_unspecified:
        return (address,)
    return [text for text in addresses if ipaddress.ip_address(text).version == known.version]


# -------------------------------------------------------------------------------------------------- public keys


def parse_public_key(line: str, *, where: str) -> str:
    """`type base64 comment`, checked and in one form. Options (`command=...`) are refused, as is anything odd.

    Raises ConfigError.
    """
    words = line.strip().split(None, 2)
    if len(words) < 2 or words[0] not in KEY_TYPES:
        raise ConfigError("is no public key for SSH, or has options before it", where=where, hint=KEY_HINT)
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack_from(">I", blob)
    except (binascii.Error, struct.error) as error:
        raise ConfigError("this public key is damaged", where=where, hint=KEY_HINT) from error
    if blob[4 : 4 + length] != words[0].encode() or len(blob) < 4 + length + 32:
        raise ConfigError(f"this public key is damaged, or no {words[0]}", where=where, hint=KEY_HINT)
    comment = "".join(char for char in "".join(words[2:]) if char.isprintable())
    return f"{words[0]} {words[1]} {comment}".rstrip()


def _read_keys(path: Path) -> list[str]:
    try:
        if not path.is_file() or path.stat().st_size > MAX_KEY_FILE:
            raise ConfigError("is no file of public keys", where=str(path), hint="name a .pub file")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise cannot("read", path, error) from error
    if "PRIVATE KEY" in text:
        raise ConfigError("is a private key", where=str(path), hint="name the .pub file beside it")
    lines = (line.strip() for line in text.splitlines())
    return [parse_public_key(line, where=str(path)) for line in lines if line and not line.startswith("#")]


def _without_comment(line: str) -> str:
    return " ".join(line.split()[:2])


# ------------------------------------------------------------------------------------------------ making them


def _ensure_password(path: Path) -> Secret:
    """The password on file; one that is empty, too long or no plain text is replaced: nobody could log in with it."""
    known = read_private(path)
    if known is not None:
        text = known.decode("ascii", "replace").strip()
        if 1 <= len(text) <= PASSWORD_LENGTH and text.isascii() and text.isprintable():
            return Secret(text)
    return _new_password(path)


def _new_password(path: Path) -> Secret:
    text = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    write_private(path, f"{text}\n")
    return Secret(text)


def _new_web_password(folder: Path, hidden: Path) -> Secret:
    """The password stays on this machine; the workstation gets its hash, from which nobody finds it."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(WEB_PASSWORD_LENGTH))
    write_private(folder / WEB_PASSWORD, f"{text}\n")
    write_private(hidden / WEB_HASH, _hash_line(text.encode()).decode())
    return Secret(text)


def _hash_line(password: bytes) -> bytes:
    return hashlib.sha256(password.strip()).hexdigest().encode() + b"\n"


def _ensure_pair(private: Path, *, comment: str) -> str:
    """The public line of the ed25519 pair at `private`, made when it is missing."""
    public = private.with_name(f"{private.name}.pub")
    line = read_private(public)
    if line is not None and read_private(private) is not None:
        return parse_public_key(line.decode("utf-8", "replace"), where=str(public))
    # Imported here because it takes long, and is not needed once the pair is there.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    told = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    encoded = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    made = f"{encoded.decode()} {comment}"
    # The public file is written last: a pair counts as there when both are.
    public.unlink(missing_ok=True)
    write_atomic(private, told, mode=0o600)
    write_atomic(public, f"{made}\n".encode(), mode=0o600)
    return made
