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

from builder.adapters.files import cannot, make_folder, write_atomic
from builder.adapters.gitidentity import render_git_identity
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
        """Of one workstation. The path's hash keeps two workspaces of the same name apart."""
        digest = hashlib.sha256(os.fsencode(workspace)).hexdigest()
        return self._state / "devbox" / f"{project}-{digest[:8]}"

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
        for path in (self._state / "devbox", folder):
            _private_folder(path)
        _private_folder(hidden, given_away=os.geteuid() == 0)
        password = _ensure_password(hidden / PASSWORD)
        public = _ensure_pair(hidden / HOST_KEY, comment=f"devbox {project}")
        # The file is for this one workstation, so that any address and port of it means this key.
        _write_private(folder / KNOWN_HOSTS, f"* {_without_comment(public)}\n")
        keys = self._authorized(authorized)
        identity = None
        if not keys:
            identity = folder / IDENTITY
            keys = [_ensure_pair(identity, comment=f"devbox {project} client")]
        _write_private(hidden / AUTHORIZED, "".join(f"{key}\n" for key in keys))
        if name := self._identity():
            _write_private(hidden / GIT, render_git_identity(name))
        else:
            (hidden / GIT).unlink(missing_ok=True)
        _give(hidden, reader)
        web = _read_private(folder / WEB_PASSWORD)
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
                path.unlink(missing_ok=True)
            return False
        from builder.adapters import certificates

        for path in (self._state / "devbox", folder, self._authority):
            _private_folder(path)
        _private_folder(hidden, given_away=os.geteuid() == 0)
        if exposure.certificate and exposure.key:
            given = Path(exposure.certificate), Path(exposure.key)
            renewed = certificates.copy_given(*given, hidden / TLS, exposure.names)
        else:
            reached = _reached(exposure.address, addresses)
            renewed = certificates.ensure_own(self._authority, hidden / TLS, (*exposure.names, *reached))
        known = _read_private(folder / WEB_PASSWORD)
        if known and _read_private(hidden / WEB_HASH) == _hash_line(known):
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
        _give(folder / "secrets", None)
        return secret

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
        _give(path.parent, None)
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
        raise ConfigError(
            "is no public key for SSH, or has options before it",
            where=where,
            hint="a line of a .pub file: `ssh-ed25519 AAAA... name`",
        )
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack_from(">I", blob)
    except (binascii.Error, struct.error) as error:
        raise ConfigError("this public key is damaged", where=where) from error
    if blob[4 : 4 + length] != words[0].encode() or len(blob) < 4 + length + 32:
        raise ConfigError(f"this public key is damaged, or no {words[0]}", where=where)
    comment = "".join(char for char in "".join(words[2:]) if char.isprintable())
    return f"{words[0]} {words[1]} {comment}".rstrip()


def _read_keys(path: Path) -> list[str]:
    try:
        if not path.is_file() or path.stat().st_size > MAX_KEY_FILE:
            raise ConfigError("is no file of public keys", where=str(path))
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
    known = _read_private(path)
    if known is not None:
        text = known.decode("ascii", "replace").strip()
        if 1 <= len(text) <= PASSWORD_LENGTH and text.isascii() and text.isprintable():
            return Secret(text)
    return _new_password(path)


def _new_password(path: Path) -> Secret:
    text = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    _write_private(path, f"{text}\n")
    return Secret(text)


def _new_web_password(folder: Path, hidden: Path) -> Secret:
    """The password stays on this machine; the workstation gets its hash, from which nobody finds it."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(WEB_PASSWORD_LENGTH))
    _write_private(folder / WEB_PASSWORD, f"{text}\n")
    _write_private(hidden / WEB_HASH, _hash_line(text.encode()).decode())
    return Secret(text)


def _hash_line(password: bytes) -> bytes:
    return hashlib.sha256(password.strip()).hexdigest().encode() + b"\n"


def _ensure_pair(private: Path, *, comment: str) -> str:
    """The public line of the ed25519 pair at `private`, made when it is missing."""
    public = private.with_name(f"{private.name}.pub")
    line = _read_private(public)
    if line is not None and _read_private(private) is not None:
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


# ---------------------------------------------------------------------------------------------- private files


def _private_folder(path: Path, *, given_away: bool = False) -> None:
    """Make `path` with 0700, or tighten it; refuse one that is a link, or somebody else's unless we gave it away."""
    if path.is_symlink():
        raise HostError("is a link; secrets are not kept behind one", where=str(path))
    make_folder(path, mode=0o700)
    told = path.stat()
    if told.st_uid != os.geteuid() and not given_away:
        raise HostError(
            f"belongs to user id {told.st_uid}, not to you", where=str(path), hint=f"chown it, or remove {path}"
        )
    if told.st_mode & 0o077:
        path.chmod(0o700)


def _give(folder: Path, reader: tuple[int, int] | None) -> None:
    """The folder and its files to `reader` (uid, gid), or the files to whom the folder was given before. Only root can,
    and only root has to: anybody else is the reader."""
    if os.geteuid() != 0:
        return
    told = folder.stat()
    owner = reader or (told.st_uid, told.st_gid)
    for path in (folder, *folder.iterdir()):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != owner:
            os.chown(path, *owner, follow_symlinks=False)


def _read_private(path: Path) -> bytes | None:
    """The content, its permissions put right first; None where there is no such file."""
    try:
        if path.is_symlink():
            raise HostError("is a link; secrets are not kept behind one", where=str(path), hint="remove it")
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from error


def _write_private(path: Path, text: str) -> None:
    data = text.encode()
    if _read_private(path) != data:
        write_atomic(path, data, mode=0o600)
