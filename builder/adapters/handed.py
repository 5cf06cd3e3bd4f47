"""What is handed to a workstation and its sidecars beside its own secrets: variables, and a password for each sidecar.

Owns `secrets/environment` (NAME=value lines, which init reads inside) and `sidecars/<name>/` in the folder of a
workstation's secrets. A value is in no label, no compose.yaml and no image; that it changed is told by a random token.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from builder.adapters import places
from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.adapters.private import private_folder, read_private, remove_file, write_private
from builder.errors import ConfigError
from builder.model import Secret

ENVIRONMENT: Final = "environment"
TOKEN: Final = "environment-token"  # noqa: S105  a file name
SIDECARS: Final = "sidecars"
PASSWORD: Final = "password"  # noqa: S105  a file name
MAX_PASSWORD: Final = 4096
MAX_FILE: Final = 1 << 20


class HandedIn:
    """`folder` says where the secrets of a workstation lie, by its project and workspace."""

    def __init__(self, folder: Callable[[str, Path], Path]) -> None:
        self._folder = folder

    def ensure_environment(self, project: str, workspace: Path, values: Mapping[str, str]) -> str:
        """Keep the variables; the token of just these, "" where there are none. Values are single lines."""
        folder = self._folder(project, workspace)
        hidden, token = folder / "secrets", folder / TOKEN
        if not values:
            for path in (hidden / ENVIRONMENT, token):
                remove_file(path)
            return ""
        places.refuse_moved(folder)
        for path in (folder.parent, folder):
            private_folder(path)
        private_folder(hidden, given_away=os.geteuid() == 0)
        text = "".join(f"{name}={value}\n" for name, value in sorted(values.items()))
        known = read_private(token)
        if known and read_private(hidden / ENVIRONMENT) == text.encode():
            return known.decode().strip()
        made = secrets.token_hex(8)
        write_private(token, f"{made}\n")  # first: cut off here, the next one finds another text, and makes another
        write_private(hidden / ENVIRONMENT, text)
        return made

    def environment(self, project: str, workspace: Path) -> Mapping[str, Secret]:
        """The variables that were handed in."""
        written = read_private(self._folder(project, workspace) / "secrets" / ENVIRONMENT) or b""
        pairs = (line.partition("=") for line in written.decode().splitlines())
        return {name: Secret(value) for name, _, value in pairs}

    def read_file(self, path: str) -> Mapping[str, str] | None:
        """The variables of a file of NAME=value lines; None where there is none. `$` means itself.

        Raises ConfigError for a line that is none.
        """
        data = read_plain(Path(path), MAX_FILE)
        if data is None:
            return None
        from dotenv.parser import parse_stream  # here: only who has such a file pays for it

        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise ConfigError("is not UTF-8", where=path, hint="save it as UTF-8") from error
        found: dict[str, str] = {}
        for binding in parse_stream(io.StringIO(text)):
            where = f"{path}:{binding.original.line}"
            if binding.error:
                raise ConfigError("is no NAME=value", where=where, hint="a value with blanks stands in quotes")
            if binding.key is None or binding.value is None:
                continue  # a comment, or a name alone
            if not binding.value.isprintable():
                hint = "put it in a file of its own, and mount that: `mounts`"
                raise ConfigError(f"{binding.key} holds more than a line of text", where=where, hint=hint)
            found[binding.key] = binding.value
        return found

    def sidecar_folder(self, project: str, workspace: Path, name: str) -> str:
        """What a sidecar sees as /run/secrets."""
        return str(self._folder(project, workspace) / SIDECARS / name)

    def ensure_sidecar(self, project: str, workspace: Path, name: str) -> Secret:
        """The password of a sidecar, made once.

        Its file can be read by everybody, since nobody knows the user id that a program in somebody else's image has.
        The folder above is what keeps it: 0700, and not part of the mount.
        """
        folder = self._folder(project, workspace)
        places.refuse_moved(folder)
        for path in (folder.parent, folder, folder / SIDECARS):
            private_folder(path)
        inside = folder / SIDECARS / name
        make_folder(inside, mode=0o755)
        known = read_plain(inside / PASSWORD, MAX_PASSWORD)
        if known and known.strip():
            return Secret(known.decode().strip())
        made = secrets.token_hex(16)  # hexadecimal: it stands in addresses as it is
        write_atomic(inside / PASSWORD, f"{made}\n".encode(), mode=0o644)
        return Secret(made)

    def forget(self, project: str, workspace: Path) -> None:
        """Remove all of it: the data that it opened is gone."""
        folder = self._folder(project, workspace)
        for path in (folder / "secrets" / ENVIRONMENT, folder / TOKEN):
            remove_file(path)
        try:
            shutil.rmtree(folder / SIDECARS)
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot("remove", folder / SIDECARS, error) from error
