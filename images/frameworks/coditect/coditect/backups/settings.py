"""Which repository, and which password. Owns the password file; must not run restic."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from coditect.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from coditect.store import Store

SETTINGS_FILE: Final = "backup.yaml"
KEEP_DAYS: Final = 90
_ADDRESS: Final = re.compile(r"(s3|gs|sftp|rest|azure|b2|swift|rclone):")
_VARIABLES: Final = ("RESTIC_PASSWORD_COMMAND", "RESTIC_PASSWORD")


@dataclass(frozen=True)
class Settings:
    """`backup.yaml` in the store, which a person may write: `repository:` and `keep_days:`."""

    repository: str | None = None
    keep_days: int = KEEP_DAYS


def read_settings(store: Store) -> Settings:
    """Raises UsageError for what cannot be meant."""
    path = store.root / SETTINGS_FILE
    if not path.exists():
        return Settings()
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"this is no YAML: {error}", where=str(path)) from error
    known = {"repository": str, "keep_days": int}
    if not isinstance(document, dict) or not set(document) <= set(known):
        raise UsageError("only `repository` and `keep_days` can be set here", where=str(path))
    for key, value in document.items():
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise UsageError(f"{key}: a {known[key].__name__} is expected, not {value!r}", where=str(path))
    return Settings(**document)


def find_repository(store: Store, given: str | None, environment: Mapping[str, str]) -> str:
    """The option, else CODITECT_BACKUP, else the settings file. A local path is made absolute."""
    chosen = given or environment.get("CODITECT_BACKUP") or read_settings(store).repository
    if not chosen:
        places = f"set CODITECT_BACKUP or `repository:` in {store.root / SETTINGS_FILE}"
        raise UsageError("no repository is given", hint=f"name one (a folder, s3:..., gs:...), or {places}")
    if _ADDRESS.match(chosen):
        return chosen
    path = Path(os.path.abspath(Path(chosen[6:] if chosen.startswith("local:") else chosen).expanduser()))  # noqa: PTH100
    if path.resolve() == store.root.resolve() or store.root.resolve() in path.resolve().parents:
        raise UsageError("a backup inside the store would be lost with it", where=str(path), hint="choose another")
    return str(path)


def password_path(environment: Mapping[str, str]) -> Path:
    config = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "coditect" / "backup-password"


def find_password(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Variables that lead restic to the password: the user's own, else our file; None when there is none yet."""
    if file := environment.get("RESTIC_PASSWORD_FILE"):
        return {"RESTIC_PASSWORD_FILE": str(Path(file).absolute())}  # restic is started in another folder
    if any(environment.get(name) for name in _VARIABLES):
        return {}
    path = password_path(environment)
    if not path.exists():
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StoreError("others can read the password", where=str(path), hint=f"chmod 600 {path}")
    return {"RESTIC_PASSWORD_FILE": str(path)}


def make_password(environment: Mapping[str, str]) -> dict[str, str]:
    """Write a new password: whole or not at all, and never over another."""
    path = password_path(environment)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # another run was first: its password counts
        os.link(part, path)
    part.unlink()
    return {"RESTIC_PASSWORD_FILE": str(path)}
