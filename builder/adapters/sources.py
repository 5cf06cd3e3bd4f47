"""Where bases and tools come from besides the engine, as one object for the tasks: apt mirrors, wheels, archives.

Owns the choice of folders and mirrors only; each effect is a module of its own (`bootstrap`, `fetch`, `hostinfo`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.aptsources import Archives, Mirrors, find_mirrors, find_snapshots, probe_archives
from builder.adapters.bootstrap import bootstrap_base, can_bootstrap
from builder.adapters.dotfiles import pack_dotfiles
from builder.adapters.fetch import Progress, fetch_archive, fetch_tree, is_cached
from builder.adapters.handover import render_build_secrets, render_offline_secrets
from builder.adapters.hostinfo import NetworkSettings, find_trust
from builder.adapters.process import Stopped, never
from builder.adapters.projects import fetch_commit, find_commit, find_wheel_digest, has_commit, keep_wheel, read_project
from builder.adapters.scratch import scratch_folder
from builder.adapters.urls import Unreachable, is_loopback
from builder.adapters.workspace_lock import take_lock
from builder.errors import HostError
from builder.model import ProjectKind

if TYPE_CHECKING:
    from builder.adapters.holder import Holder
    from builder.model import Base, Dotfiles, PythonSource, RenderedTree, ResolvedTool


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
            fetch_archive(
                tool.archive,
                cache=self._cache,
                on_progress=on_progress,
                stopped=self._stopped,
                ca=self._settings().ca_bundle,
            )
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
            ca=self._settings().ca_bundle,
        )
        return tree.root

    def is_fetched(self, tool: ResolvedTool, arch: str) -> bool:
        """Whether `fetch_tree` needs no network."""
        source = tool.wheel or tool.archive
        return source is not None and is_cached(source, arch=arch, cache=self._cache)

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

    def is_project_fetched(self, source: PythonSource, identity: str) -> bool:
        """Whether `fetch_project` needs no network."""
        return source.kind is not ProjectKind.GIT or has_commit(source.location, identity, self._cache)

    def offline_secrets(self, plan: str) -> Mapping[str, bytes]:
        """What the steps of a plan mount where they are to do without a network."""
        return render_offline_secrets(plan)

    def host_secrets(self, base: Base, tell: Callable[[str], None]) -> Mapping[str, bytes]:
        """What steps of a build mount, to reach what this machine reaches. `tell` hears what cannot be handed on."""
        settings = self._settings()
        for name in sorted(name for name, url in settings.proxies.items() if name != "no_proxy" and is_loopback(url)):
            tell(f"{name} is on this machine's loopback, where no step of a build gets to: they go without it")
        archives = self._archives_of_steps(base, tell)
        lines = archives.lines if archives else ()
        if settings.ca_bundle is None and any("https://" in line for line in lines):
            settings = replace(settings, ca_bundle=find_trust())  # a base need not have any certificates yet
        return render_build_secrets(settings, lines, dated=bool(archives and archives.dated))

    def describe_network(self, distribution: str) -> Mapping[str, tuple[str, str]]:
        """What this machine's own settings say: key of devbox.yaml, or of a proxy -> value and origin."""
        settings = self._settings()
        mirrors = find_mirrors(distribution).main
        values = {
            f"mirrors.apt.{distribution}": mirrors[0] if mirrors else "",
            "mirrors.pypi": settings.pip_index.get("index-url", ""),
            "mirrors.npm": settings.npm_registry or "",
            "ca_bundle.path": settings.ca_path,
            **settings.proxies,
        }
        origins = {f"mirrors.apt.{distribution}": "this machine's apt settings", **settings.origins}
        return {key: (value, origins[key]) for key, value in values.items() if value and key in origins}

    def pack_dotfiles(self, wanted: Dotfiles) -> bytes:
        with self.scratch() as folder:
            return pack_dotfiles(wanted, folder, stopped=self._stopped)

    def ca_bundle(self) -> bytes:
        return self._settings().ca_bundle or b""

    def _archives_of_steps(self, base: Base, tell: Callable[[str], None]) -> Archives | None:
        """Where apt gets packages from in a build; None: where the base itself says. What devbox.yaml chose has to be
        there; what this machine happens to use is taken when it has all of the base."""
        chosen = bool(base.snapshot) or base.distribution in self._settings().apt_mirrors
        try:
            mirrors = self._mirrors(base)
            if chosen and mirrors.main and not mirrors.away().main:
                tell(
                    f"{mirrors.main[0]} is on this machine's loopback, where no step of a build gets to: not used there"
                )
                return None
            archives = probe_archives(base, mirrors.away())
        except HostError:
            if chosen:
                raise
            return None
        if archives.notes and not chosen:
            return None
        for note in archives.notes:
            tell(note)
        return archives

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for something large and short-lived, gone afterwards."""
        with scratch_folder(self._cache, "scratch-") as folder:
            yield folder

    @contextmanager
    def alone(self, what: str, on_wait: Callable[[str], None]) -> Iterator[None]:
        """The only one of those who share the cache that makes `what`. `on_wait` hears whom we wait for."""

        def waiting(holder: Holder | None) -> None:
            on_wait(f"process {holder.pid} of {holder.user}" if holder else "another process")

        lock = self._cache / "locks" / what
        with take_lock(lock, what, on_wait=waiting, stopped=self._stopped):
            yield

    def _mirrors(self, base: Base) -> Mirrors:
        settings = self._settings()
        found = find_mirrors(base.distribution, override=settings.apt_mirrors.get(base.distribution))
        mirrors = replace(found, ca=settings.ca_bundle)
        if not base.snapshot:
            return mirrors
        return find_snapshots(base, base.snapshot, mirrors, pattern=settings.snapshots.get(base.distribution))
