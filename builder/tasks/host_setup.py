"""`devbox host setup`: what is missing on a machine is shown, and done when a person has agreed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from builder.core.host_setup import LOCK_S
from builder.errors import HostError, NotReadyError
from builder.model import LogLine, Note, TaskEnded, TaskStarted

if TYPE_CHECKING:
    from builder.core.host_setup import Findings, Order, Root
    from builder.tasks.interfaces import Clock, Report

TASK: Final = "host"
# Words of apt and dpkg: `update` and `--configure` do not wait for another one themselves.
LOCKED: Final = ("Could not get lock", "Unable to lock", "locked by another process")
START_S: Final = 60.0
TAIL: Final = 15


class Machine(Protocol):
    root: Root

    @property
    def where(self) -> str: ...
    def listens(self) -> bool: ...
    def run(self, order: Order, on_line: Callable[[str], None]) -> int: ...
    def tell_log(self) -> str: ...


def describe_orders(found: Findings, orders: Sequence[Order]) -> Iterator[str]:
    how = f", {found.root.value}" if orders else ""
    yield f"{found.user} on {found.system}{how}"
    for order in orders:
        yield f"  {order.show(found.root)}"
        yield f"      {order.why}"


def carry_out(machine: Machine, orders: Sequence[Order], report: Report, clock: Clock) -> None:
    """One after the other, to the first that fails; then wait until the engine listens. Raises HostError."""
    for order in orders:
        _carry_out(machine, order, report, clock)
    try:
        clock.wait_for(
            "the engine to listen on its socket",
            lambda: machine.listens() or None,
            deadline_s=START_S,
            interval_s=0.5,
            why=machine.tell_log,
        )
    except NotReadyError as error:
        hint = "the last lines of its log are above; `dockerd` by hand there says more"
        raise HostError(error.message, where=machine.where, detail=error.detail, hint=hint) from error


def _carry_out(machine: Machine, order: Order, report: Report, clock: Clock) -> None:
    shown, began = order.show(machine.root), clock.now()
    report(TaskStarted(name=TASK, text=shown))
    code, said = _run_alone(machine, order, report, clock)
    report(TaskEnded(name=TASK, text=shown, seconds=clock.now() - began, failed=code != 0))
    if code != 0:
        raise HostError(
            f"`{shown}` ended with {code}",
            where=machine.where,
            detail="\n".join(said[-TAIL:]),
            hint="what it says is above; `devbox host setup` again goes on where this ended",
        )


def _run_alone(machine: Machine, order: Order, report: Report, clock: Clock) -> tuple[int, list[str]]:
    """Exit code and what was said, when nobody else holds the locks of apt any more."""
    said: list[str] = []
    ended: list[int] = []

    def hear(line: str) -> None:
        said.append(line)
        report(LogLine(name=TASK, text=line))

    def run() -> bool | None:
        said.clear()
        code = machine.run(order, hear)
        if code != 0 and any(word in line for line in said for word in LOCKED):
            if not ended:
                report(Note(text="another program installs something there: waiting for it", level="warning"))
            ended.append(code)
            return None
        ended.append(code)
        return True

    with suppress(NotReadyError):  # what the last run said tells who holds them
        clock.wait_for("the locks of apt there", run, deadline_s=LOCK_S, interval_s=3.0)
    return ended[-1], said
