"""Puts the real adapters into a Context. Reads the environment, so that nothing below has to.

Besides `cli` and `shortcut` the only module that knows adapters and tasks both. Adapters that are slow to import are
imported when they are first needed: `config` never loads the Docker SDK.
"""

from __future__ import annotations

import functools
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from builder.adapters import clock
from builder.adapters.hostinfo import (
    NetworkSettings,
    find_addresses,
    find_folder,
    find_home,
    find_host_facts,
    find_network_settings,
    read_ca,
)
from builder.adapters.workspace import CONFIG, Workspace
from builder.core.overlay import find_catalogues
from builder.errors import ConfigError, EngineError, HostError, NotReadyError
from builder.model import Note
from builder.tasks.interfaces import Context, Report
from builder.tasks.interfaces import HostPorts as Ports

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine as SdkEngine
    from builder.adapters.holder import Holder
    from builder.adapters.kept import KeptPackages
    from builder.adapters.remote.client import Talk, TunnelClient
    from builder.adapters.runlog import RunLog
    from builder.adapters.sources import HostSources
    from builder.core.config import Config
    from builder.core.facts import HostFacts
    from builder.model import Assets, Secret
    from builder.suite.session import Wanted
    from builder.suite.subject import Subject
    from builder.tasks.doctor import HostLook
    from builder.tasks.interfaces import Estate
    from builder.tasks.prepare import Prepared

Made = TypeVar("Made")

# What is looked at before an image is taken into use: in a few seconds, and of the image alone. Checks of one's own may
# need what lies in the volumes.
QUICK_GROUPS: Final = ("tooling", "promises", "cis", "framework", "ports", "doors", "desktop")


class _Later:
    """Stands for an adapter until somebody asks it something: most verbs need few of them, and some take long to import
    or to read."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = functools.cache(make)

    def __getattr__(self, name: str) -> Any:  # whatever the adapter has
        return getattr(self._make(), name)


def later(make: Callable[[], Made]) -> Made:
    """What `make` returns, made when it is first used."""
    return cast("Made", _Later(make))


class RealClock:
    def now(self) -> float:
        return clock.monotonic()

    def wait_for(
        self,
        what: str,
        probe: Callable[[], bool | None],
        *,
        deadline_s: float,
        interval_s: float,
        why: Callable[[], str] | None = None,
    ) -> bool:
        return clock.wait_for(what, probe, deadline_s=deadline_s, interval_s=interval_s, why=why)


def open_workspace(directory: Path, report: Report, tidy: Callable[[Path], None]) -> Workspace:
    """`tidy` takes away what a killed process half wrote elsewhere for the workspace of this path."""

    def waiting(holder: Holder | None) -> None:
        report(Note(text=f"waiting for {holder or 'another devbox'}, which works in this folder", level="warning"))

    def left(holder: Holder) -> None:
        report(Note(text=holder.describe_end(), level="warning"))
        tidy(directory.resolve())

    return Workspace(directory, on_wait=waiting, on_left=left)


def open_run_log(directory: Path, verb: str, report: Report) -> RunLog:
    """The log of this run of a verb, which begins with its first event."""
    from builder.adapters.runlog import RunLog

    def failed(error: OSError) -> None:
        report(Note(text=f"no log of this run is kept: {error.strerror or error}", level="warning"))

    return RunLog(find_folder("XDG_STATE_HOME", ".local/state"), directory, verb, failed=failed)


def nobody(text: str, secret: bool) -> str | None:
    """Who answers the questions of a login where no person is there."""
    return None


def make_context(
    directory: Path,
    report: Report,
    environment: Mapping[str, str],
    *,
    host: str | None = None,
    ask: Callable[[str, bool], str | None] = nobody,
    build_here: bool = False,
) -> Context:
    """A Context for the workspace at `directory`; `host` is what --host says, `build_here` --build-here. Connects to
    nothing yet."""
    from builder.adapters.backups.store import BackupStore
    from builder.adapters.gitidentity import find_git_identity
    from builder.adapters.handed import HandedIn
    from builder.adapters.history import HistoryStore
    from builder.adapters.keys import KeyStore
    from builder.adapters.memo import LockMemo
    from builder.adapters.remote.choice import choose_host
    from builder.adapters.remote.client import Talk

    keys = KeyStore(find_folder("XDG_STATE_HOME", ".local/state"), find_home(), identity=find_git_identity)
    workspace = open_workspace(directory, report, keys.tidy)
    written = workspace.read_config()
    own, environment = environment, choose_host(environment, written, file=CONFIG, asked=host)
    talk = Talk(tell=lambda text: report(Note(text=text)), ask=ask)
    facts = find_host_facts(workspace.root)
    stopping = threading.Event()
    cache = find_folder("XDG_CACHE_HOME", ".cache") / "devbox"

    @functools.cache
    def settings() -> NetworkSettings:
        from builder.core.config import parse_config

        return find_settings(parse_config(written, file=CONFIG, defaults=facts), facts)

    def keep_packages() -> KeptPackages:
        from builder.adapters.kept import KeptPackages

        return KeptPackages(cache)

    def open_sources() -> HostSources:
        from builder.adapters.sources import HostSources

        return HostSources(cache, settings=settings, stopped=stopping.is_set)

    return Context(
        facts=facts,
        config_text=written,
        config_file=CONFIG,
        assets=later(lambda: _load_all_assets(written, facts)),
        workspace=workspace,
        engine=functools.cache(functools.partial(connect, environment, talk)),
        memo=LockMemo(cache / "answers"),
        kept=later(keep_packages),
        sources=later(open_sources),
        keys=keys,
        handed=HandedIn(keys.folder),
        histories=HistoryStore(lambda project: keys.folder(project, workspace.root)),
        backups=BackupStore(keys.folder, environment=environment, home=find_home(), cache=cache, settings=settings),
        ports=find_ports(environment, talk),
        clock=RealClock(),
        report=report,
        addresses=find_addresses,
        stop=stopping.set,
        builder=functools.cache(functools.partial(connect, find_builder(own, environment), talk))
        if build_here
        else None,
    )


def _load_all_assets(written: bytes | None, facts: HostFacts) -> Assets:
    """Ours, and over them the folders that devbox.yaml names, the last one on top."""
    from builder.adapters.assets import lay_over, load_assets
    from builder.core.runtime import expand_path

    assets = load_assets()
    for folder in find_catalogues(written, file=CONFIG):
        assets = lay_over(assets, Path(expand_path(folder, facts)), folder)
    return assets


def find_settings(config: Config, facts: HostFacts) -> NetworkSettings:
    """How this machine reaches the package sources: its own settings, and over them what devbox.yaml says."""
    from builder.core.runtime import expand_path

    found = find_network_settings()
    mirrors = config.mirrors
    ca = expand_path(config.ca_bundle.path, facts) if config.ca_bundle.path else None
    apt = {"debian": mirrors.apt.debian, "ubuntu": mirrors.apt.ubuntu}
    snapshots = {"debian": mirrors.snapshot.debian, "ubuntu": mirrors.snapshot.ubuntu}
    trusted = found.pip_index.get("trusted-host", "").split()
    index = _choose_index(mirrors.pypi, trusted) if mirrors.pypi else {}
    # In pip, what this machine has of the second name wins over the first (requests, merge_environment_settings).
    bundle = {"PIP_CERT": ca, "REQUESTS_CA_BUNDLE": ca}
    # An empty variable leaves what pip's files say; the same index twice is asked once, and is the only one.
    indexes = {"PIP_INDEX_URL": mirrors.pypi, "PIP_EXTRA_INDEX_URL": mirrors.pypi}
    variables = {**indexes, "PIP_TRUSTED_HOST": index.get("trusted-host"), **bundle}
    return replace(
        found,
        ca_bundle=read_ca(Path(ca), "ca_bundle of devbox.yaml") if ca else found.ca_bundle,
        ca_path=ca or found.ca_path,
        npm_registry=mirrors.npm or found.npm_registry,
        pip_index=index or found.pip_index,
        pip={name: value for name, value in variables.items() if value},
        apt_mirrors={name: url for name, url in apt.items() if url},
        snapshots={name: pattern for name, pattern in snapshots.items() if pattern},
    )


def _choose_index(url: str, trusted: Sequence[str]) -> dict[str, str]:
    """Settings of pip for this index alone. pip takes one by plain http only when its host is named as trusted."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    names = [word for word in trusted if word.lower() in (host, f"{host}:{parts.port}")]
    if parts.scheme == "http":
        names = names or [host]
    return {"index-url": url, "trusted-host": " ".join(names)} if names else {"index-url": url}


def connect(environment: Mapping[str, str], talk: Talk) -> SdkEngine:
    """The engine that `environment` names; one on another machine through its tunnel, started if need be."""
    from builder.adapters.engine.client import connect_engine
    from builder.adapters.engine.host import find_host

    host = find_host(environment)
    if not host.remote:
        return connect_engine(environment)
    from builder.adapters.engine.remote import RemoteEngine

    return RemoteEngine(host, open_tunnel_to(host.remote, environment, talk), talk.tell)


def find_builder(own: Mapping[str, str], chosen: Mapping[str, str]) -> Mapping[str, str]:
    """The environment that leads to this machine's engine, where `chosen` leads to another: its `own`, unless that does
    so, too. Raises ConfigError where there is no other one."""
    from builder.adapters.engine.host import find_host

    there = find_host(chosen)
    for way in (own, {**own, "DOCKER_HOST": "", "DOCKER_CONTEXT": "default"}):
        here = find_host(way)
        if not here.remote and here.url != there.url:
            return way
    hint = "leave it out, or name another machine: `--host ssh://user@host`, `host:` in devbox.yaml"
    raise ConfigError("the workstation's engine is this machine's own", where="--build-here", hint=hint)


def open_tunnel_to(remote: str, environment: Mapping[str, str], talk: Talk) -> TunnelClient:
    from builder.adapters.remote.address import parse_address
    from builder.adapters.remote.client import open_tunnel

    return open_tunnel(parse_address(remote, where="DOCKER_HOST"), environment, talk)


def find_ports(environment: Mapping[str, str], talk: Talk) -> Ports:
    """Who says which ports are free: this machine, and the other one where the workstation is there."""
    from builder.adapters.engine.host import find_host
    from builder.adapters.ports import HostPorts

    try:
        remote = find_host(environment).remote
    except (ConfigError, EngineError, HostError):
        remote = ""  # told by who asks the engine
    if not remote:
        return HostPorts()
    from builder.adapters.remote.ports import RemotePorts

    return RemotePorts(functools.cache(lambda: open_tunnel_to(remote, environment, talk)))


def take_picture(place: tuple[str, int], password: Secret, file: Path) -> tuple[int, int]:
    """Log in by VNC, wait until the desktop is quiet, write a PNG; its size in pixels."""
    from builder.adapters.rfb import connect as connect_vnc

    with connect_vnc(*place).login(password.reveal()) as client:
        picture = client.settle(quiet_s=0.5, deadline_s=20.0, tolerance=0.002)
        picture.save_png(file)
        return picture.width, picture.height


def make_wanted(context: Context, *, repeat: int = 5, cold: bool = False, prepared: Prepared | None = None) -> Wanted:
    """What the workstation of this folder should be, for `verify` to hold it to; by `prepared`, if that is given."""
    from builder.core.own_checks import own_checks
    from builder.core.runtime import expand_path
    from builder.suite.session import Wanted
    from builder.tasks.prepare import prepare

    prepared = prepared or prepare(context)
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


def check_image(context: Context, prepared: Prepared) -> None:
    """Start a throw-away of the planned image beside what runs, and run the quick checks on it.

    Raises NotReadyError when it cannot be used, VerifyError when it does not keep what it promises.
    """
    from builder.adapters.engine.client import Engine as SdkEngine
    from builder.suite.session import open_image
    from builder.suite.verify import refuse_failures, verify

    engine = context.engine()
    assert isinstance(engine, SdkEngine)  # noqa: S101  # `connect` makes no other
    remove_stale_throwaways(context)
    image = prepared.plan.image
    with open_image(engine, make_wanted(context, prepared=prepared), image) as subject:
        start = subject.ready()
        if not start.ready:
            raise NotReadyError(
                f"{image} starts, and cannot be used: {start.reason}",
                hint=f"what ran before still runs; `devbox verify --image {image}` looks at the new one",
            )
        refuse_failures(verify(subject, QUICK_GROUPS, context.report))


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
    from builder.tasks.earlier import plan_held, read_hold
    from builder.tasks.layout import read_request
    from builder.tasks.lifecycle import find_running
    from builder.tasks.prepare import prepare

    request = read_request(context)
    if image is None:  # before a base is bootstrapped for what is not there
        find_running(context, request.resolved.runtime.project)
    prepared = prepare(context, request=request)
    wanted = make_wanted(context, repeat=repeat, cold=cold, prepared=prepared)
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
        if held := read_hold(context, prepared):
            then = plan_held(context, held) or prepared
            wanted = make_wanted(context, repeat=repeat, cold=cold, prepared=then)
            wanted = replace(wanted, held=prepared.plan.id)
        with open_running(engine, wanted, container, keys, rendered) as subject:
            yield subject


def open_estate() -> Estate:
    """What devbox keeps for this person, whatever the workspace."""
    from builder.adapters.estate import Estate as RealEstate

    state, cache = find_folder("XDG_STATE_HOME", ".local/state"), find_folder("XDG_CACHE_HOME", ".cache")
    return RealEstate(state / "devbox", cache / "devbox")


def look_at_host() -> HostLook:
    """Disk and package sources of this machine, for `doctor`."""
    from builder.adapters.hostlook import look_at_day, look_at_disk, look_at_registries
    from builder.tasks.doctor import HostLook

    cache = find_folder("XDG_CACHE_HOME", ".cache") / "devbox"
    return HostLook(free_gb=look_at_disk(cache), cache=str(cache), today=look_at_day(), sources=look_at_registries())
