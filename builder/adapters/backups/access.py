"""What opens a place for backups, from this machine's own files and variables. Keeps nothing, shows nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Final

from builder.adapters.backups.inside import PRIVATE, SSH_LOG
from builder.adapters.files import read_plain
from builder.core.backups import Access, Kind, Repository
from builder.errors import BackupError

if TYPE_CHECKING:
    from builder.adapters.hostinfo import NetworkSettings

MAX_FILE: Final = 1 << 20
KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
S3: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
S3_PLACES: Final = ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE")
GS: Final = ("GOOGLE_PROJECT_ID", "GOOGLE_ACCESS_TOKEN")
CONNECT_S: Final = 15


def find_access(
    repository: Repository, identity: str | None, environ: Mapping[str, str], home: Path, settings: NetworkSettings
) -> Access:
    """Raises BackupError where this machine has nothing that opens it."""
    match repository.kind:
        case Kind.FOLDER:
            return Access()
        case Kind.SFTP:
            return _by_ssh(repository, identity, home)
        case Kind.S3:
            return _over_https(_for_s3(environ, home), settings)
        case Kind.GS:
            return _over_https(_for_gs(environ, home), settings)


def _by_ssh(repository: Repository, identity: str | None, home: Path) -> Access:
    """With one key and the person's own known hosts. No setting of theirs is read: it may name what is not inside.

    ssh writes its complaints to a file: restic, which would hand them on, may end before it has read them.
    """
    keys = [Path(identity)] if identity else [home / ".ssh" / name for name in KEYS]
    found = next(((path, data) for path in keys if (data := read_plain(path, MAX_FILE))), None)
    if found is None:
        hint = "`backup.identity` names one; it must have no passphrase, since nobody is asked"
        raise BackupError("there is no SSH key for the backup", where=str(keys[0]), hint=hint)
    known = home / ".ssh/known_hosts"
    hosts = read_plain(known, MAX_FILE)
    if not hosts:
        raise BackupError(
            "no host key is known to this machine",
            where=str(known),
            hint=f"log in once by hand, and look at the key: ssh {repository.login}",
        )
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_S),
        "IdentitiesOnly": "yes",
        "IdentityFile": f"{PRIVATE}/identity",
        "ServerAliveInterval": "15",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f"{PRIVATE}/known_hosts",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    port = ["-p", str(repository.port)] if repository.port else []
    words = ["ssh", "-F", "none", "-E", f"{PRIVATE}/{SSH_LOG}", *options, *port, repository.login, "-s", "sftp"]
    return Access(files={"identity": found[1], "known_hosts": hosts}, options=("-o", f"sftp.command={join(words)}"))


def _for_s3(environ: Mapping[str, str], home: Path) -> Access:
    places = _named(environ, S3_PLACES)
    if environ.get(S3[0]) and environ.get(S3[1]):
        return Access(environment={**_named(environ, S3), **places})
    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials")
    data = read_plain(path, MAX_FILE)
    if data is None:
        hint = f"set {S3[0]} and {S3[1]}, or write them into that file"
        raise BackupError("there are no credentials for s3", where=str(path), hint=hint)
    return Access(
        environment={"AWS_SHARED_CREDENTIALS_FILE": f"{PRIVATE}/credentials", **places}, files={"credentials": data}
    )


def _for_gs(environ: Mapping[str, str], home: Path) -> Access:
    named = _named(environ, GS)
    if GS[1] in named:
        return Access(environment=named)
    fallback = home / ".config/gcloud/application_default_credentials.json"
    path = Path(environ.get("GOOGLE_APPLICATION_CREDENTIALS") or fallback)
    data = read_plain(path, MAX_FILE)
    if data is None:
        hint = "GOOGLE_APPLICATION_CREDENTIALS names the file of a service account"
        raise BackupError("there are no credentials for gs", where=str(path), hint=hint)
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": f"{PRIVATE}/credentials", **named}
    return Access(environment=environment, files={"credentials": data})


def _named(environ: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name in names if (value := environ.get(name))}


def _over_https(access: Access, settings: NetworkSettings) -> Access:
    """With this machine's proxy and CA: the helper stands on this machine's network."""
    proxies = {name: value for name, value in settings.proxies.items() if value}
    if settings.ca_bundle is None:
        return Access(environment={**access.environment, **proxies}, files=access.files)
    return Access(
        environment={**access.environment, **proxies},
        files={**access.files, "ca.crt": settings.ca_bundle},
        options=("--cacert", f"{PRIVATE}/ca.crt"),
    )
