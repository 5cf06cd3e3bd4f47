"""What a diagnosis reads of this machine's disk, and the archive that it becomes.

Reads versions, devbox.yaml, `.workstation/`, and the logs that `runlog` keeps; writes one file, whole and 0600. Redacts
nothing.
"""

from __future__ import annotations

import gzip
import os
import platform
import stat
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from builder.adapters.assets import DISTRIBUTION
from builder.adapters.files import read_plain, write_atomic
from builder.adapters.runlog import list_reports, list_runs
from builder.adapters.workspace import CONFIG, FOLDER, MAX_CONFIG
from builder.core.tree import END, Entry, Kind, make_header, make_padding, sort_entries
from builder.errors import ConfigError

PACKAGES: Final = (DISTRIBUTION, "docker", "h2", "jinja2", "pydantic", "pyyaml", "requests", "rich", "typer", "urllib3")
VARIABLES: Final = ("DOCKER_", "XDG_", "DEVBOX_", "LANG", "TERM", "CI", "http_proxy", "https_proxy", "no_proxy")
MAX_FILE: Final = 1 << 20
OS_RELEASE: Final = Path("/etc/os-release")
Reading = Callable[[], str]


class Traces:
    """What lies around of the workstation of one folder."""

    def __init__(self, workspace: Path, state: Path, environ: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._state = state
        self._environ = environ

    def versions(self) -> Mapping[str, object]:
        release = OS_RELEASE.read_text(encoding="utf-8", errors="replace") if OS_RELEASE.is_file() else ""
        return {
            "python": sys.version,
            "packages": {name: _version(name) for name in PACKAGES},
            "kernel": platform.release(),
            "machine": platform.machine(),
            "distribution": release.splitlines(),
            "root": os.geteuid() == 0,
            "environment": {name: value for name, value in sorted(self._environ.items()) if name.startswith(VARIABLES)},
        }

    def written_config(self) -> str:
        found = read_plain(self._workspace / CONFIG, MAX_CONFIG)
        if found is None:
            raise ConfigError("there is none: every key has its default", where=CONFIG, hint="`devbox init` writes one")
        return found.decode("utf-8", "replace")

    def rendered(self) -> Mapping[str, Reading]:
        """What lies at the top of .workstation/: below are devbox's own files, whose sums stand in manifest.json."""
        folder = self._workspace / FOLDER
        if not folder.is_dir():
            raise ConfigError("there is nothing rendered here yet", where=FOLDER, hint="`devbox render` writes it")
        return _readings([path for path in sorted(folder.iterdir()) if stat.S_ISREG(path.lstat().st_mode)])

    def runs(self) -> Mapping[str, Reading]:
        return _readings(list_runs(self._state, self._workspace))

    def reports(self) -> Mapping[str, Reading]:
        return _readings(list_reports(self._state))


def _readings(paths: list[Path]) -> dict[str, Reading]:
    return {path.name: partial(_read, path) for path in paths}


def _read(path: Path) -> str:
    return (read_plain(path, MAX_FILE) or b"").decode("utf-8", "replace")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """A tar.gz of `files`, the same bytes for the same files. Raises HostError."""
    entries = sort_entries(Entry(path=name, kind=Kind.FILE, size=len(data)) for name, data in files.items())
    pieces = [
        piece
        for entry in entries
        for piece in (make_header(entry), files.get(entry.path, b""), make_padding(entry.size))
    ]
    write_atomic(path, gzip.compress(b"".join([*pieces, END]), mtime=0), mode=0o600)
