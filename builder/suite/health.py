"""Group `health`: every supervised process is killed in turn. Health is red while it is away, and it comes back.

On a throw-away of the same image, never on a workstation that somebody uses. The supervisor lets a second pass before
it starts most of them again; the next one is killed meanwhile. What has to turn red is a phase of its own that was
green the moment before. Those that others wait for (the X server, the bus) take the desktop with them: each is killed
alone, when all is green.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import monotonic, wait_for
from builder.errors import NotReadyError
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure
from builder.suite.subject import SERVICES

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

DEFAULT_S: Final = 30.0  # where a service states no deadline
RED_S: Final = 1.0  # for the probe to see it: others notice a moment later that a process is dead
READ: Final = f"cd {SERVICES} && grep -H '' */deadline */ready */run"
# Its supervisor stands still meanwhile: a process that is back in 20 ms would hide whether anybody noticed.
KILL: Final = """
pid=$(s6-svstat -o pid "/run/service/$1") && boss=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status") &&
[ "$(cat "/proc/$boss/comm")" = s6-supervise ] && kill -STOP "$boss" && kill -KILL "$pid" && echo "$boss $pid"
"""
PIDS: Final = 'for name; do echo "$name $(s6-svstat -o pid "/run/service/$name")"; done'


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the image's folder of a service says."""

    name: str
    deadline: float = DEFAULT_S  # seconds for its return
    phases: tuple[str, ...] = ()  # of the probe
    after: tuple[str, ...] = ()  # services that it waits for


@dataclass(slots=True, kw_only=True)
class _Killed:
    service: Service
    pid: int
    at: float  # on the monotonic clock
    back_s: float | None = None  # seconds until another process was there and its phases were green


@dataclass(slots=True)
class Outcome:
    """Of every service either the seconds until it was back, or what was wrong."""

    back_s: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, CheckFailure] = field(default_factory=dict)


def make_cases(resolved: Resolved) -> Iterator[Case]:
    """The services are those that the tools declare in their checks."""
    names = tuple(sorted({check.service for tool in resolved.tools for check in tool.checks if check.service}))
    for name in names:
        yield _case(name, names)


def _case(name: str, names: Sequence[str]) -> Case:
    def run(subject: Subject) -> str:
        fresh = subject.fresh_one()
        outcome = fresh.memo.get("killed", lambda: kill_all(fresh, names))
        if name in outcome.wrong:
            raise outcome.wrong[name]
        return f"back after {outcome.back_s[name]:.1f} s"

    title = f"{name} killed: it comes back, and health is red while it is away"
    # The first one waits for all of them.
    return Case(id=f"health.{name}", title=title, check=run, lane=Lane.APART, deadline_s=5 * DEFAULT_S)


def kill_all(subject: Subject, names: Sequence[str]) -> Outcome:
    """Kill each of these services of a throw-away once. Never raises for what it finds."""
    services = read_services(subject.run("sh", "-c", READ, root=True).stdout.decode(errors="replace"), names)
    outcome = Outcome()
    for wave in make_waves(services):
        _kill_wave(subject, wave, outcome)
    return outcome


def read_services(text: str, names: Sequence[str]) -> tuple[Service, ...]:
    """From lines `NAME/FILE:TEXT` of the services' files."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for line in text.splitlines():
        place, _, words = line.partition(":")
        name, _, file = place.partition("/")
        if name in found:
            found[name].setdefault(file, []).append(words)
    return tuple(_read_service(name, files) for name, files in found.items())


def _read_service(name: str, files: Mapping[str, Sequence[str]]) -> Service:
    run = "\n".join(line for line in files.get("run", ()) if not line.lstrip().startswith("#"))
    waits = re.findall(r"/usr/lib/devbox/after((?: +[\w.+-]+)+)", run)
    return Service(
        name=name,
        deadline=float("".join(files.get("deadline", ())) or DEFAULT_S),
        phases=tuple(line.split()[0] for line in files.get("ready", ()) if line.split()),
        after=tuple(word for words in waits for word in words.split()),
    )


def make_waves(services: Sequence[Service]) -> Iterator[tuple[Service, ...]]:
    """Those that nobody waits for at once, then each of the others."""
    awaited = {name for service in services for name in service.after}
    yield tuple(service for service in services if service.name not in awaited)
    yield from ((service,) for service in services if service.name in awaited)


def _kill_wave(subject: Subject, wave: Sequence[Service], outcome: Outcome) -> None:
    killed: list[_Killed] = []
    try:
        _await_green(subject, wave)
    except CheckFailure as failure:
        outcome.wrong |= {service.name: failure for service in wave}
        return
    for service in wave:
        try:
            killed.append(_kill(subject, service))
        except CheckFailure as failure:
            outcome.wrong[service.name] = failure
    try:
        _await_return(subject, killed)
    except CheckFailure as failure:
        late = [item for item in killed if item.back_s is None]
        outcome.wrong |= {item.service.name: failure for item in late or killed}
    outcome.back_s |= {item.service.name: item.back_s for item in killed if item.back_s is not None}


def _kill(subject: Subject, service: Service) -> _Killed:
    """SIGKILL, as the kernel would for want of memory. Raises CheckFailure when that is not seen in its phases."""
    green = _await_own_green(subject, service)
    done = subject.output("sh", "-c", KILL, "sh", service.name, root=True)
    boss, pid = (int(word) for word in done.split())
    try:
        _await_red(subject, service, green)
    finally:
        at = monotonic()
        subject.output("kill", "-CONT", str(boss), root=True)
    return _Killed(service=service, pid=pid, at=at)


def _await_green(subject: Subject, wave: Sequence[Service]) -> None:
    deadline = max((service.deadline for service in wave), default=0.0)

    def look() -> bool | None:
        return None if subject.look_now().red else True

    try:
        wait_for("green health", look, deadline_s=deadline, interval_s=0.1)
    except NotReadyError as error:
        wanted = f"green health before it is killed, within {deadline:g} s"
        raise CheckFailure(wanted, _told(subject.look_now().red), f"devbox logs {wave[0].name}") from error


def _await_own_green(subject: Subject, service: Service) -> frozenset[str]:
    """Its phases that are green. Others of its may still be red for the sake of one that was killed just before."""

    def look() -> frozenset[str] | None:
        return frozenset(service.phases) - subject.look_now().red.keys() or None

    try:
        return wait_for("a green phase", look, deadline_s=service.deadline, interval_s=0.1)
    except NotReadyError as error:
        wanted = f"green health of {service.name} before it is killed, within {service.deadline:g} s"
        found = _told(subject.look_now().red) or f"{SERVICES}/{service.name}/ready names no phase"
        raise CheckFailure(wanted, found, f"devbox logs {service.name}") from error


def _await_red(subject: Subject, service: Service, green: frozenset[str]) -> None:
    def look() -> bool | None:
        return True if subject.look_now().red.keys() & green else None

    try:
        wait_for("red health", look, deadline_s=RED_S, interval_s=0.05)
    except NotReadyError as error:
        wanted = f"health to be red without {service.name}"
        raise CheckFailure(
            wanted, "green", f"{SERVICES}/{service.name}/ready; sudo /usr/lib/devbox/probe check"
        ) from error


def _await_return(subject: Subject, killed: Sequence[_Killed]) -> None:
    """Until another process is there in the place of each, and all is green."""
    if not killed:
        return
    deadline = max(item.service.deadline for item in killed)

    def look() -> bool | None:
        pids = _read_pids(subject, [item.service.name for item in killed])
        red = subject.look_now().red
        for item in killed:
            if item.back_s is None and _is_back(item, pids, red):
                item.back_s = monotonic() - item.at
        return True if not red and all(item.back_s is not None for item in killed) else None

    try:
        wait_for("all to be back", look, deadline_s=deadline, interval_s=0.25)
    except NotReadyError as error:
        late = ", ".join(item.service.name for item in killed if item.back_s is None)
        told = _told(subject.look_now().red) or f"{late} stays away"
        look_at = f"devbox logs {(late or killed[0].service.name).partition(',')[0]}"
        raise CheckFailure(f"green health after it was killed, within {deadline:g} s", told, look_at) from error


def _is_back(item: _Killed, pids: Mapping[str, int], red: Collection[str]) -> bool:
    in_time = monotonic() - item.at <= item.service.deadline
    return in_time and pids[item.service.name] not in (item.pid, -1) and not set(item.service.phases) & set(red)


def _read_pids(subject: Subject, names: Sequence[str]) -> Mapping[str, int]:
    lines = subject.output("sh", "-c", PIDS, "sh", *names, root=True).splitlines()
    return {name: int(pid or -1) for name, _, pid in (line.partition(" ") for line in lines)}


def _told(red: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {why}" for name, why in sorted(red.items()))
