"""Group `health`: every supervised process is killed in turn. It comes back, and health was red while it was away.

On a throw-away of the same image, never on a workstation that somebody uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import monotonic, wait_for
from builder.errors import NotReadyError
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure
from builder.suite.subject import SERVICES

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Look, Subject

DEFAULT_S: Final = 30.0  # where a service states no deadline


def make_cases(resolved: Resolved) -> Iterator[Case]:
    """The services are those that the tools declare in their checks."""
    services = {check.service for tool in resolved.tools for check in tool.checks if check.service}
    for name in sorted(services):
        yield _case(name)


def _case(service: str) -> Case:
    def run(subject: Subject) -> str:
        fresh = subject.fresh_one()
        deadline = _deadline(fresh, service)
        _await_green(fresh, service, deadline, "before it is killed")
        seconds = _kill(fresh, service, deadline)
        _hold_down(fresh, service)
        _await_green(fresh, service, deadline, "after it was held down")
        return f"back after {seconds:.1f} s"

    title = f"{service} killed: it comes back, and health is red while it is away"
    return Case(id=f"health.{service}", title=title, check=run, lane=Lane.ALONE, deadline_s=3 * DEFAULT_S + 20)


def _deadline(subject: Subject, service: str) -> float:
    text = subject.run("cat", f"{SERVICES}/{service}/deadline", root=True).stdout.decode().strip()
    return float(text) if text else DEFAULT_S


def _pid(subject: Subject, service: str) -> int:
    done = subject.run("s6-svstat", "-o", "pid", f"/run/service/{service}", root=True)
    return int(done.stdout.strip() or -1)


def _kill(subject: Subject, service: str, deadline: float) -> float:
    """SIGKILL, as the kernel would for want of memory; the seconds until another process is there and all is green."""
    before = _pid(subject, service)
    started = monotonic()
    subject.output("s6-svc", "-k", f"/run/service/{service}", root=True)

    def back() -> bool | None:
        return True if _pid(subject, service) not in (before, -1) else None

    try:
        wait_for(f"another {service}", back, deadline_s=deadline, interval_s=0.1)
    except NotReadyError as error:
        raise CheckFailure(
            f"{service} back within {deadline:g} s", "it stays away", f"devbox logs {service}"
        ) from error
    _await_green(subject, service, deadline, "after it was killed")
    return monotonic() - started


def _hold_down(subject: Subject, service: str) -> None:
    """Down for one look of the probe: a process that is back in 20 ms would hide whether anybody noticed."""
    folder = f"/run/service/{service}"
    subject.output("s6-svc", "-wd", "-T", "10000", "-d", folder, root=True)
    try:
        look = subject.look_now()
    finally:
        subject.output("s6-svc", "-u", folder, root=True)
    if not look.red:
        raise CheckFailure(f"health to be red without {service}", "green", f"{SERVICES}/{service}/ready names no phase")


def _await_green(subject: Subject, service: str, deadline: float, when: str) -> None:
    def look() -> Look | None:
        found = subject.look_now()
        return None if found.red else found

    try:
        wait_for("green health", look, deadline_s=deadline, interval_s=0.2)
    except NotReadyError as error:
        red = ", ".join(f"{name}: {why}" for name, why in sorted(subject.look_now().red.items()))
        raise CheckFailure(f"green health {when}, within {deadline:g} s", red, f"devbox logs {service}") from error
