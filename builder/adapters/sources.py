"""Where bases and tools come from besides the engine, as one object for the tasks: apt mirrors, wheels, archives.

Owns the choice of folders and mirrors only; each effect is a module of its own (`bootstrap`, `fetch`, `hostinfo`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.aptsources import Mirrors, find_mirrors
from builder.adapters.bootstrap import bootstrap_base, can_bootstrap
from builder.adapters.fetch import Progress, fetch_archive, fetch_tree
from builder.adapters.hostinfo import NetworkSettings, render_host_files, render_host_secrets
from builder.adapters.process import Stopped, never
from builder.adapters.projects import fetch_commit, find_commit, find_wheel_digest, keep_wheel, read_project
from builder.adapters.urls import Unreachable
from builder.errors import HostError
from builder.model import ProjectKind

if TYPE_CHECKING:
    from builder.model import Base, PythonSource, RenderedTree, ResolvedTool


class HostSources:
    """`cache` is a folder of our own; `settings` are looked up when they are first needed."""

    def __init__(self, cache: Path, *, settings: Callable[[], NetworkSettings], stopped: Stopped = never) -> None:
        self._cache = cache
        self._settings = settings
        self._stopped = stopped

    def can_bootstrap(self, base: Base) -> str | None:
        return can_bootstrap(base, mirrors=self._mirrors(base))

    def bootstrap(self, base: Base, arch: str, target: Path, on_line: Callable[[str], None]) -> tuple[str, ...]:
        mirrors = self._mirrors(base)
        made = bootstrap_base(base, arch=arch, mirrors=mirrors, target=target, on_line=on_line, stopped=self._stopped)
        return made.notes

    def reach_archive(self, tool: ResolvedTool, on_progress: Progress) -> str | None:
        """None once the archive lies in the cache, else why it cannot be reached. A wrong checksum is an error."""
        if tool.archive is None:
            return None
        try:
            fetch_archive(tool.archive, cache=self._cache, on_progress=on_progress, stopped=self._stopped)
        except Unreachable as error:
            return error.message
        return None

    def fetch_tree(self, tool: ResolvedTool, arch: str, on_progress: Progress) -> Path:
        source = tool.wheel or tool.archive
        if source is None:
            raise HostError("nothing is fetched for this tool", where=tool.name)
        tree = fetch_tree(
            source,
            arch=arch,
            cache=self._cache,
            on_progress=on_progress,
            stopped=self._stopped,
            pip=self._settings().pip,
        )
        return tree.root

    def find_commit(self, source: PythonSource) -> str:
        return find_commit(source.location, source.revision or "HEAD", stopped=self._stopped)

    def read_project(self, source: PythonSource) -> RenderedTree:
        return read_project(Path(source.location))

    def find_wheel_digest(self, source: PythonSource) -> str:
        return find_wheel_digest(Path(source.location))

    def fetch_project(self, source: PythonSource, identity: str) -> Path:
        """The folder that a build stage is given: the commit, or the wheel, that the plan knows by `identity`."""
        if source.kind is ProjectKind.GIT:
            return fetch_commit(source.location, identity, self._cache, stopped=self._stopped)
        if source.kind is ProjectKind.WHEEL:
            return keep_wheel(Path(source.location), identity, self._cache)
        raise HostError("the files of this project are at hand: nothing is fetched", where=source.location)

    def host_files(self) -> RenderedTree:
        return render_host_files(self._settings())

    def host_secrets(self) -> Mapping[str, bytes]:
        return render_host_secrets(self._settings())

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for something large and short-lived, gone afterwards."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="scratch-", dir=self._cache) as name:
            yield Path(name)

    def _mirrors(self, base: Base) -> Mirrors:
        return find_mirrors(base.distribution, override=self._settings().apt_mirrors.get(base.distribution))
