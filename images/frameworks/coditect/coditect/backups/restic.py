"""Calls of restic: the environment it gets, and its errors in our words. Owns every run of it.

The repository and where the password is go through the environment, so that neither is in the list of processes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coditect.errors import CoditectError, StoreError, ToolMissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TAG: Final = "coditect"


class NoRepositoryError(StoreError):
    """There is nothing at the address yet."""


class LockedError(StoreError):
    """Another restic is at work on the repository, or was killed."""


class WrongPasswordError(StoreError):
    """There is a repository, made with another password."""


class IncompleteError(StoreError):
    """The snapshot was made, but some files could not be read."""


# What restic says (as of 0.14; since 0.17 it has exit codes too) -> what it means and what to do. First match counts.
_NETWORK: Final = (
    r"dial tcp|no such host|connection refused|network is unreachable|i/o timeout|TLS handshake|no route to host"
)
_DENIED: Final = r"Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|403|Forbidden|credentials|permission denied"
_NOTHING_THERE: Final = r"config file.*(no such file or directory|does not exist|doesn't exist)"
_CREDENTIALS: Final = (
    "check the credentials in the environment (s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "gs: GOOGLE_PROJECT_ID and GOOGLE_APPLICATION_CREDENTIALS), or the rights of the folder"
)
_MEANINGS: Final[tuple[tuple[int, str, type[CoditectError], str, str], ...]] = (
    (12, r"wrong password|no key found", WrongPasswordError, "the password does not open the repository",
     "it was made with another one: put that into the password file, or set RESTIC_PASSWORD_FILE"),
    (11, r"already locked", LockedError, "the repository is locked by another restic",
     "wait until it has ended and try again"),
    (0, _NETWORK, StoreError, "the repository cannot be reached", "check the network and the address, then try again"),
    (0, _DENIED, StoreError, "access to the repository was refused",
     _CREDENTIALS),
    (0, r"no space left|disk quota", StoreError, "no room is left for the backup", "make room, then try again"),
    (0, r"no snapshot|no matching ID|multiple IDs with prefix", UsageError, "there is no such snapshot",
     "coditect backup --list shows all"),
    (10, _NOTHING_THERE, NoRepositoryError, "there is no repository",
     "make one with `coditect backup --to REPO`"),
)  # fmt: skip


@dataclass(frozen=True)
class Restic:
    """One repository, and the variables that lead to its password. `shown` is its address without secrets."""

    repository: str
    password: Mapping[str, str]

    @property
    def shown(self) -> str:
        return re.sub(r"://[^/@]*@", "://***@", self.repository)

    def run(self, *words: str, folder: Path | None = None) -> str:
        """What a command of restic printed. Raises StoreError and its kinds, ToolMissingError."""
        program = shutil.which("restic")
        if program is None:
            hint = "install the package restic (0.14 or newer)"
            raise ToolMissingError("restic is not installed", hint=hint)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            command = [program, *words]
            with subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            ) as process:
                said = self._listen(process)
            output.seek(0)
            if process.returncode:
                raise self._explain(process.returncode, words[0], "".join(said))
            return output.read()

    def run_unlocked(self, *words: str) -> str:
        """As `run`; a lock that a killed restic left behind is removed. restic itself tells these from live ones."""
        try:
            return self.run(*words)
        except LockedError:
            self.run("unlock", "--quiet")
            return self.run(*words)

    def _listen(self, process: subprocess.Popen[str]) -> list[str]:
        """All that restic says. It tries again for many minutes when a network fails: that must be seen meanwhile."""
        said = []
        for line in process.stderr or ():
            said.append(line)
            if "retrying" in line:
                print(f"restic: {line.strip()}", file=sys.stderr)
        return said

    def _environment(self) -> dict[str, str]:
        """Credentials and settings of the user pass through; another repository of theirs does not."""
        ours = {"RESTIC_REPOSITORY": self.repository, **self.password}
        kept = {k: v for k, v in os.environ.items() if k not in ("RESTIC_REPOSITORY_FILE", "RESTIC_FROM_REPOSITORY")}
        return {**kept, **ours}

    def _explain(self, code: int, command: str, said: str) -> CoditectError:
        said = said.replace(self.repository, self.shown).strip()
        if command == "backup" and code == 3:
            return IncompleteError(f"some files could not be read:\n{said}", where=self.shown)
        for known_code, pattern, kind, message, hint in _MEANINGS:
            if code == known_code or re.search(pattern, said, re.IGNORECASE):
                return kind(f"{message} ({_first_fatal(said)})", where=self.shown, hint=hint)
        return StoreError(f"restic {command}: {said}", where=self.shown)


def _first_fatal(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("Fatal:")]
    return (fatal or lines or ["it said nothing"])[0].replace("Fatal: ", "").strip()
