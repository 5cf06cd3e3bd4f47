"""Puts the real adapters into a Context. Reads the environment, so that nothing below has to.

Besides `cli` and `shortcut` the only module that knows adapters and tasks both. Adapters that are slow to import are
imported when they are first needed: `config` never loads the Docker SDK.
"""

from __future__ import annotations

import functools
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters import clock
from builder.adapters.assets import load_assets
from builder.adapters.hostinfo import (
    NetworkSettings,
    find_addresses,
    find_folder,
    find_home,
    find_host_facts,
    find_network_settings,
    read_ca,
)
from builder.adapters.workspace import CONFIG, Holder, Workspace
from builder.errors import EngineError
from builder.model import Note
from builder.tasks.interfaces import Context, Engine, Report

if TYPE_CHECKING:
    from builder.core.config import Config
    from builder.core.facts import HostFacts
    from builder.model import Secret
    from builder.suite.session import Wanted
    from builder.suite.subject import Subject
    from builder.tasks.doctor import HostLook


class RealClock:
    def now(self) -> float:
        return clock.monotonic()


def open_workspace(directory: Path, report: Report) -> Workspace:
    def waiting(holder: Holder | None) -> None:
        report(Note(text=f"waiting for {holder or 'another devbox'}, which works in this folder", level="warning"))

    return Workspace(directory, on_wait=waiting)


def make_context(directory: Path, report: Report, environment: Mapping[str, str]) -> Context:
    """A Context for the workspace at `directory`. Connects to nothing yet."""
    from builder.adapters.gitidentity import find_git_identity
    from builder.adapters.keys import KeyStore
    from builder.adapters.ports import HostPorts
    from builder.adapters.sources import HostSources
    from builder.core.config import parse_config

    workspace = open_workspace(directory, report)
    written = workspace.read_config()
    facts = find_host_facts(workspace.root)
    stopping = threading.Event()
    return Context(
        facts=facts,
        config_text=written,
        config_file=CONFIG,
        assets=load_assets(),
        workspace=workspace,
        engine=functools.cache(functools.partial(connect, environment)),
        sources=HostSources(
            find_folder("XDG_CACHE_HOME", ".cache") / "devbox",
            settings=functools.cache(lambda: find_settings(parse_config(written, file=CONFIG, defaults=facts), facts)),
            stopped=stopping.is_set,
        ),
        keys=KeyStore(find_folder("XDG_STATE_HOME", ".local/state"), find_home(), identity=find_git_identity),
        ports=HostPorts(),
        clock=RealClock(),
        report=report,
        addresses=find_addresses,
        stop=stopping.set,
    )


def find_settings(config: Config, facts: HostFacts) -> NetworkSettings:
    """How this machine reaches the package sources: its own settings, and over them what devbox.yaml says."""
    from builder.core.runtime import expand_path

    found = find_network_settings()
    mirrors = config.mirrors
    ca = expand_path(config.ca_bundle, facts) if config.ca_bundle else None
    apt = {"debian": mirrors.apt.debian, "ubuntu": mirrors.apt.ubuntu}
    trusted = found.pip_index.get("trusted-host", "").split()
    index = _choose_index(mirrors.pypi, trusted) if mirrors.pypi else {}
    # The machine's other indexes stay beside the chosen one, and so do the hosts that it trusts.
    named = " ".join(dict.fromkeys((*trusted, *index["trusted-host"].split()))) if "trusted-host" in index else None
    variables = {"PIP_INDEX_URL": mirrors.pypi, "PIP_TRUSTED_HOST": named, "PIP_CERT": ca}
    return replace(
        found,
        ca_bundle=read_ca(Path(ca), "ca_bundle of devbox.yaml") if ca else found.ca_bundle,
        npm_registry=mirrors.npm or found.npm_registry,
        pip_index=index or found.pip_index,
        pip={name: value for name, value in variables.items() if value},
        apt_mirrors={name: url for name, url in apt.items() if url},
    )


def _choose_index(url: str, trusted: Sequence[str]) -> dict[str, str]:
    """Settings of pip for this index alone. pip takes one by plain http only when its host is named as trusted."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    names = [word for word in trusted if word.lower() in (host, f"{host}:{parts.port}")]
    if parts.scheme == "http":
        names = names or [host]
    return {"index-url": url, "trusted-host": " ".join(names)} if names else {"index-url": url}


def connect(environment: Mapping[str, str]) -> Engine:
    from builder.adapters.engine.client import connect_engine

    return connect_engine(environment)


def take_picture(place: tuple[str, int], password: Secret, file: Path) -> tuple[int, int]:
    """Log in by VNC, wait until the desktop is quiet, write a PNG; its size in pixels."""
    from builder.adapters.rfb import connect as connect_vnc

    with connect_vnc(*place).login(password.reveal()) as client:
        picture = client.settle(quiet_s=0.5, deadline_s=20.0, tolerance=0.002)
        picture.save_png(file)
        return picture.width, picture.height


def make_wanted(context: Context, *, repeat: int = 5, cold: bool = False) -> Wanted:
    """What the workstation of this folder should be, for `verify` to hold it to."""
    from builder.core.own_checks import own_checks
    from builder.core.runtime import expand_path
    from builder.suite.session import Wanted
    from builder.tasks.prepare import prepare

    prepared = prepare(context)
    tests = prepared.verify.tests
    return Wanted(
        plan=prepared.plan,
        resolved=prepared.resolved,
        static=context.assets.service,
        own=own_checks(prepared.verify.checks),
        framework=own_checks(prepared.framework_checks),
        tests=Path(expand_path(tests, context.facts)) if tests else None,
        repeat=repeat,
        cold=cold,
    )


def remove_stale_throwaways(context: Context) -> None:
    """Of a `verify` that was killed. What cannot be removed is told, and hinders nothing."""
    from builder.adapters.engine.client import Engine as SdkEngine
    from builder.suite.throwaway import remove_stale

    engine = context.engine()
    assert isinstance(engine, SdkEngine)  # noqa: S101  # `connect` makes no other
    try:
        for project in remove_stale(engine):
            context.report(Note(text=f"removed {project}, which a killed `devbox verify` left behind"))
    except EngineError as error:
        context.report(Note(text=f"what a killed `devbox verify` left behind stays: {error}", level="warning"))


@contextmanager
def open_subject(context: Context, image: str | None, *, repeat: int, cold: bool) -> Iterator[Subject]:
    """What `verify` looks at: the workstation of this folder, or a throw-away of `image`.

    Raises EngineError, with a hint, when the workstation does not run or there is no such image.
    """
    from builder.adapters.engine.client import Engine as SdkEngine
    from builder.suite.session import open_image, open_running
    from builder.tasks.lifecycle import find_running

    wanted = make_wanted(context, repeat=repeat, cold=cold)
    engine = context.engine()
    assert isinstance(engine, SdkEngine)  # noqa: S101  # `connect` makes no other; testinfra needs more than the tasks
    remove_stale_throwaways(context)
    if image is not None:
        with open_image(engine, wanted, image) as subject:
            yield subject
        return
    runtime = wanted.resolved.runtime
    with context.workspace.lock("verify"):
        container = find_running(context, runtime.project)
        keys = context.keys.ensure(
            runtime.project, context.workspace.root, runtime.authorized_keys, reader=runtime.reader
        )
        rendered = context.workspace.root / ".workstation"
        with open_running(engine, wanted, container, keys, rendered) as subject:
            yield subject


def look_at_host() -> HostLook:
    """Disk and package sources of this machine, for `doctor`."""
    from builder.adapters.hostlook import look_at_day, look_at_disk, look_at_registries
    from builder.tasks.doctor import HostLook

    cache = find_folder("XDG_CACHE_HOME", ".cache") / "devbox"
    return HostLook(free_gb=look_at_disk(cache), cache=str(cache), today=look_at_day(), sources=look_at_registries())
