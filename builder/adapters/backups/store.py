"""What this machine keeps of the backups of one workstation: the password, and which volumes are in use.

Owns `backup-password` (with those of before) and `volumes.json` in the workstation's folder of secrets (see
`adapters.keys`), where no container sees them. Neither goes with `.workstation/`: without the first a backup is worth
nothing, and without the second an `up` would take the volumes of before a restore.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.errors import BackupError, ConfigError, HostError
from builder.model import RenderedFile, Secret

if TYPE_CHECKING:
    from builder.adapters.hostinfo import NetworkSettings
    from builder.core.backups import Access, Repository
    from builder.model import RenderedTree

PASSWORD: Final = "backup-password"  # noqa: S105  a file name
EARLIER: Final = "backup-password.before"  # one a line, the newest last
VOLUMES: Final = "volumes.json"
LENGTH: Final = 32  # of 64 signs: 192 bits
LONGEST: Final = 1024
MAX_FILE: Final = 1 << 16
PROGRAM: Final = ("__init__.py", "compare.py", "inside.py", "manifest.py")  # in builder/adapters/backups


class BackupStore:
    """`folder` finds the folder of a workstation's secrets; `settings` is how this machine reaches the network."""

    def __init__(
        self,
        folder: Callable[[str, Path], Path],
        *,
        environment: Mapping[str, str],
        home: Path,
        cache: Path,
        settings: Callable[[], NetworkSettings],
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._home = home
        self._cache = cache
        self._settings = settings

    # ---------------------------------------------------------------------------------------------- password

    def password(self, project: str, workspace: Path) -> Secret | None:
        """The password on file, if there is one."""
        data = self._read(project, workspace, PASSWORD)
        text = (data or b"").decode("utf-8", "replace").rstrip("\n")
        return Secret(text) if text else None

    def new_password(self) -> Secret:
        """One that nobody has yet; `keep_password` puts it on file."""
        return Secret(secrets.token_urlsafe(LENGTH * 3 // 4))

    def keep_password(self, project: str, workspace: Path, password: Secret) -> str:
        """Put it on file. One of before, which may be the only copy there is, goes into another file, with all earlier
        ones; its path, empty where there was none. Raises ConfigError for one that restic would read otherwise than it
        is written."""
        text = password.reveal()
        if not 1 <= len(text) <= LONGEST or not text.isprintable() or text != text.strip():
            hint = "one line without blanks around it, as `devbox password backup` prints it"
            raise ConfigError("this is no password of a backup", hint=hint)
        before = self.password(project, workspace)
        replaces = before is not None and before != password
        if before is not None and replaces:
            earlier = self._read(project, workspace, EARLIER) or b""
            self._write(project, workspace, EARLIER, earlier + f"{before.reveal()}\n".encode())
        self._write(project, workspace, PASSWORD, f"{text}\n".encode())
        return str(self._folder(project, workspace) / EARLIER) if replaces else ""

    # ----------------------------------------------------------------------------------------------- volumes

    def volumes(self, project: str, workspace: Path) -> Mapping[str, str]:
        """Key -> name of the volumes that a restore put in the place of the usual ones."""
        data = self._read(project, workspace, VOLUMES)
        if data is None:
            return {}
        path = self._folder(project, workspace) / VOLUMES
        hint = "`docker volume ls` shows what there is; without this file `devbox up` takes those of before a restore"
        try:
            told = json.loads(data)
        except ValueError as error:
            raise HostError(
                f"is damaged ({error})", where=str(path), hint="`docker volume ls` shows what there is"
            ) from error
        names = told.items() if isinstance(told, dict) else [("", "")]
        if not all(isinstance(name, str) and re.fullmatch(r"[a-z0-9][A-Za-z0-9_.-]*", name) for _, name in names):
            raise HostError("is damaged (no names of volumes)", where=str(path), hint=hint)
        return {str(key): str(name) for key, name in names}

    def use_volumes(self, project: str, workspace: Path, names: Mapping[str, str]) -> None:
        """From now on these; one file, replaced in one step: an `up` sees the old ones or the new ones."""
        if not names:
            (self._folder(project, workspace) / VOLUMES).unlink(missing_ok=True)
            return
        self._write(project, workspace, VOLUMES, (json.dumps(dict(names), indent=1, sort_keys=True) + "\n").encode())

    def stamp(self) -> str:
        """The moment, for names of volumes."""
        return time.strftime("%Y%m%d-%H%M%S", time.gmtime())

    # ------------------------------------------------------------------------------------------- what goes in

    def access(self, repository: Repository, identity: str | None) -> Access:
        from builder.adapters.backups.access import find_access  # here: every verb has a store, and few a repository

        return find_access(repository, identity, self._environment, self._home, self._settings())

    def owner(self, repository: Repository, *, make: bool) -> tuple[int, int]:
        """Who the files of a repository belong to: who owns its folder, else who calls. `make` makes its last part:
        a disk that is not there must not become a folder on another one. Raises BackupError."""
        path = Path(repository.folder or self._home)
        try:
            if repository.folder and make and path.parent.is_dir() and not path.exists():
                make_folder(path, mode=0o700)
            told = path.stat()
        except FileNotFoundError as error:
            hint = "mount the disk, or make the folder that it lies in"
            raise BackupError("there is no such folder for the backup", where=str(path), hint=hint) from error
        except OSError as error:
            raise cannot("use", path, error) from error
        return told.st_uid, told.st_gid

    def cache(self) -> str:
        """A folder in which restic keeps what it knows of a repository elsewhere."""
        folder = self._cache / "restic"
        make_folder(folder, mode=0o700)
        return str(folder)

    def program(self) -> RenderedTree:
        """What the helper's image takes: the program inside, at the paths that its own imports name."""
        here = Path(__file__).parent
        return {f"builder/adapters/backups/{name}": RenderedFile(data=(here / name).read_bytes()) for name in PROGRAM}

    def looker(self) -> str:
        """The text of the program that says what is in a volume."""
        return Path(__file__).with_name("contents.py").read_text(encoding="utf-8")

    # ------------------------------------------------------------------------------------------------- files

    def _read(self, project: str, workspace: Path, name: str) -> bytes | None:
        path = self._folder(project, workspace) / name
        if path.is_symlink():
            raise HostError("is a link; secrets are not kept behind one", where=str(path), hint="remove it")
        data = read_plain(path, MAX_FILE)
        if data is not None and path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return data

    def _write(self, project: str, workspace: Path, name: str, data: bytes) -> None:
        folder = self._folder(project, workspace)
        make_folder(folder.parent, mode=0o700)
        make_folder(folder, mode=0o700)
        write_atomic(folder / name, data, mode=0o600)
