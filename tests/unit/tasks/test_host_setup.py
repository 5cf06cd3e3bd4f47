"""The commands of `devbox host setup`, on a machine that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from builder.core.host_setup import Order, Root
from builder.errors import HostError
from builder.model import Event, LogLine, Note, TaskEnded
from builder.tasks.host_setup import carry_out
from builder.wiring import RealClock

LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
UPDATE = Order(argv=("apt-get", "update"), why="x", deadline_s=1)
START = Order(argv=("service", "docker", "start"), why="x", deadline_s=1)


@dataclass
class Machine:
    """Ends each command with the next of `ends`: its exit code, and what it says."""

    ends: list[tuple[int, str]]
    up: bool = True
    root: Root = Root.FREELY
    ran: list[str] = field(default_factory=list)
    where: str = "me@box:22"

    def run(self, order: Order, on_line: Callable[[str], None]) -> int:
        self.ran.append(order.show(self.root))
        code, text = self.ends.pop(0)
        on_line(text)
        return code

    def listens(self) -> bool:
        return self.up

    def tell_log(self) -> str:
        return "failed to start daemon: no iptables"


class Impatient(RealClock):
    """Waits for nothing longer than a moment."""

    def wait_for(
        self,
        what: str,
        probe: Callable[[], bool | None],
        *,
        deadline_s: float,
        interval_s: float,
        why: Callable[[], str] | None = None,
    ) -> bool:
        return super().wait_for(what, probe, deadline_s=min(deadline_s, 0.2), interval_s=0.01, why=why)


def test_what_each_command_says_is_told_and_the_engine_is_waited_for() -> None:
    told: list[Event] = []
    machine = Machine([(0, "Reading"), (0, "Starting")])
    carry_out(machine, (UPDATE, START), told.append, Impatient())
    assert machine.ran == ["sudo apt-get update", "sudo service docker start"]
    assert [event.text for event in told if isinstance(event, LogLine)] == ["Reading", "Starting"]
    assert [event.failed for event in told if isinstance(event, TaskEnded)] == [False, False]


def test_the_first_command_that_fails_ends_it_with_what_it_said() -> None:
    machine = Machine([(100, "E: no such mirror")])
    with pytest.raises(HostError, match=r"`sudo apt-get update` ended with 100") as caught:
        carry_out(machine, (UPDATE, START), lambda _: None, Impatient())
    assert caught.value.detail == "E: no such mirror"
    assert machine.ran == ["sudo apt-get update"]


@pytest.mark.parametrize("words", [LOCKED, "dpkg: error: dpkg frontend lock was locked by another process with pid 7"])
def test_who_installs_something_there_is_waited_for_and_told_once(words: str) -> None:
    told: list[Event] = []
    machine = Machine([(100, words), (100, words), (0, "done"), (0, "")])
    carry_out(machine, (UPDATE, START), told.append, Impatient())
    assert machine.ran.count("sudo apt-get update") == 3
    assert len([event for event in told if isinstance(event, Note)]) == 1


def test_a_lock_that_is_never_given_back_is_told_with_who_holds_it() -> None:
    machine = Machine([(100, LOCKED)] * 1000)
    with pytest.raises(HostError) as caught:
        carry_out(machine, (UPDATE,), lambda _: None, Impatient())
    assert "process 7" in str(caught.value.detail)


def test_an_engine_that_does_not_come_up_is_told_with_its_log() -> None:
    with pytest.raises(HostError, match="the engine to listen") as caught:
        carry_out(Machine([(0, "")], up=False), (START,), lambda _: None, Impatient())
    assert "no iptables" in str(caught.value.detail)
    assert "devbox logs" not in str(caught.value)
