"""`devbox doctor`: what on this machine helps or hinders a workstation, each finding with its next step.

Owns the questions and the words; every look is an adapter's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from builder.core.floors import Below, find_below
from builder.errors import DevboxError, EngineError, HostError
from builder.tasks.prepare import Request, read_request

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context

MARKS: Final = {"ok": "✓", "warning": "!", "error": "✗"}
NAMES: Final = {"docker": "Docker Engine", "podman": "podman"}
SOON: Final = timedelta(days=270)
NEEDED_GB: Final = 5.0  # base, layers, build cache and room to work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    level: str  # ok | warning | error
    topic: str  # what was looked at
    text: str  # what was found
    hint: str | None = None  # what to do

    @property
    def mark(self) -> str:
        return MARKS[self.level]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLook:
    """What an adapter saw of this machine."""

    free_gb: float  # where the cache lies
    cache: str
    today: date
    sources: dict[str, str | None]  # PyPI, npm: None = reachable, else why not


def examine(context: Context, look: Callable[[], HostLook]) -> list[Finding]:
    """Every finding, in the order in which a start would meet them. Raises nothing: a failed look is a finding."""
    findings = [*_engine(context)]
    try:
        request = read_request(context)
    except DevboxError as error:
        findings.append(Finding(level="error", topic="config", text=str(error)))
        request = None
    host = look()
    findings += _disk(host)
    if request is not None:
        findings += _ports(context, request)
        findings += _bases(context, request)
        findings += _support(request, host.today)
    findings += _sources(host)
    return findings


def _engine(context: Context) -> Iterator[Finding]:
    try:
        version = context.engine().version()
    except (EngineError, HostError) as error:
        yield Finding(level="error", topic="engine", text=error.message, hint=error.hint)
        return
    about = f"{version.version} (API {version.api}, {version.storage}, runc {version.runc or 'unknown'})"
    yield Finding(level="ok", topic="engine", text=f"{NAMES[version.kind]} {about} at {version.host}")
    if version.kind == "podman":
        yield Finding(
            level="warning",
            topic="engine",
            text="podman answers like Docker Engine with some differences; it builds with buildah, one step at a time",
            hint="docs/engines.md tells what was tried with which version",
        )
    elif not version.buildkit:
        yield Finding(
            level="error",
            topic="buildkit",
            text="this engine has no BuildKit",
            hint="Docker Engine 20.10 or newer has it",
        )
    yield from map(_below, find_below(version))


def _below(below: Below) -> Finding:
    """A warning at most: by its number alone nobody can tell that a part is unsafe."""
    floor, names = below.floor, ", ".join(below.floor.cves)
    head = f"{below.version} is older than {' or '.join(floor.fixed)}: {floor.problem}" + (
        f" ({names})" if names else ""
    )
    if not below.applies:
        return Finding(level="ok", topic=floor.part, text=f"{head}; not here: {below.meaning}")
    hint = floor.remedy
    if below.packaged and floor.cves:
        hint = f"your distribution may have mended it under this number: look for {floor.cves[0]} in `apt changelog "
        hint += f"{floor.package}`; if it has not, {floor.remedy}"
    return Finding(level="warning", topic=floor.part, text=f"{head}; that means: {below.meaning}", hint=hint)


def _disk(host: HostLook) -> Iterator[Finding]:
    level = "ok" if host.free_gb >= NEEDED_GB else "error"
    hint = None if level == "ok" else f"free {NEEDED_GB:.0f} GB; `docker system df` shows what the engine holds"
    yield Finding(level=level, topic="disk", text=f"{host.free_gb:.1f} GB free at {host.cache}", hint=hint)


def _ports(context: Context, request: Request) -> Iterator[Finding]:
    runtime = request.resolved.runtime
    try:
        container = context.engine().find_container(runtime.project)
    except EngineError:
        container = None
    ours = set(container.ports.values()) if container else set()
    for port in runtime.ports:
        if port.host in ours or context.ports.is_free(runtime.bind_of(port.name), port.host):
            continue
        holder = context.ports.holder(port.host) or "another program"
        yield Finding(
            level="error" if port.pinned else "warning",
            topic="port",
            text=f"{port.host} ({port.name}) is taken by {holder}",
            hint="it is pinned: stop what holds it" if port.pinned else "the next free one will be taken, and said",
        )


def _bases(context: Context, request: Request) -> Iterator[Finding]:
    """Whether the base is there or could be bootstrapped; pulling is only tried by a build."""
    for base in (request.resolved.base, request.resolved.substitute):
        if base is None:
            continue
        try:
            there = context.engine().find_image(base.image) is not None
        except EngineError:
            there = False
        reason = None if there else context.sources.can_bootstrap(base)
        if there:
            yield Finding(level="ok", topic="base", text=f"{base.name}: {base.image} is on the engine")
        elif reason is None:
            yield Finding(level="ok", topic="base", text=f"{base.name} can be bootstrapped from an apt mirror")
        else:
            yield Finding(
                level="warning",
                topic="base",
                text=f"{base.name} cannot be bootstrapped: {reason}",
                hint=f"`up` tries to pull {base.image} first; else a substitute is taken, and said",
            )


def _support(request: Request, today: date) -> Iterator[Finding]:
    """Whether the base still gets security updates, and for how long."""
    base = request.resolved.base
    if base.supported_until is None:
        return
    left = date.fromisoformat(base.supported_until) - today
    if left > SOON:
        return
    verb = "ended" if left.days < 0 else "ends"
    files = request.catalog.bases
    newer = [
        name
        for name, file in sorted(files.items())
        if file.distribution == base.distribution and (file.supported_until or "") > base.supported_until
    ]
    yield Finding(
        level="warning",
        topic="base",
        text=f"security support of {base.name} {verb} on {base.supported_until}",
        hint=f"`base: {newer[-1]}` in devbox.yaml is newer" if newer else "take another base in devbox.yaml",
    )


def _sources(host: HostLook) -> Iterator[Finding]:
    for name, reason in sorted(host.sources.items()):
        if reason is None:
            yield Finding(level="ok", topic="source", text=f"{name} is reachable")
        else:
            yield Finding(
                level="error",
                topic="source",
                text=f"{name} cannot be reached: {reason}",
                hint="check proxy, mirror and CA",
            )
