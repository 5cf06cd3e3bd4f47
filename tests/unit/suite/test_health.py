"""The group `health`: what it reads of the services, in which order it kills them, and whom it blames."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest

from builder.model import ExecResult
from builder.suite import health
from builder.suite.health import Outcome, Service, kill_all, make_waves, read_services
from builder.suite.results import CheckFailure
from tests.unit.suite.fakes import FakeEngine, make_subject

FILES = """\
bus/deadline:10
bus/ready:bus bus
wm/deadline:0.3
wm/ready:wm wm :1
wm/run:#!/bin/sh
wm/run:# /usr/lib/devbox/after nothing
wm/run:/usr/lib/devbox/after x bus || exit 1
x/ready:x x11 :1
x/ready:rfb rfb 5901
web/ready:web websocket 6080
web/run:started || /usr/lib/devbox/after bus x || started || exit 1
other/ready:other bus
"""


def test_what_a_service_says_is_read_from_its_folder() -> None:
    bus, wm, x, web = read_services(FILES, ["bus", "wm", "x", "web"])

    assert (bus.deadline, bus.phases, bus.after) == (10, ("bus",), ())
    assert (wm.phases, wm.after) == (("wm",), ("x", "bus"))
    assert (x.deadline, x.phases) == (health.DEFAULT_S, ("x", "rfb"))
    assert web.after == ("bus", "x")


def test_those_that_others_wait_for_are_killed_alone_and_last() -> None:
    waves = make_waves(read_services(FILES, ["bus", "web", "wm", "x"]))

    assert [[service.name for service in wave] for wave in waves] == [["web", "wm"], ["bus"], ["x"]]


class Supervised(FakeEngine):
    """Services `a` and `b` with a phase each. A killed one is away until its supervisor goes on, if it comes back."""

    def __init__(self, *, blind: Sequence[str] = (), lost: Sequence[str] = ()) -> None:
        super().__init__()
        self.pids = {"a": 1, "b": 2}
        self.numbers = itertools.count(3)
        self.away: set[str] = set()
        self.blind, self.lost = blind, lost

    def run(self, container: str, argv: Sequence[str], **options: object) -> ExecResult:
        return ExecResult(code=0, stdout=self._answer(list(argv)).encode(), stderr=b"")

    def _answer(self, argv: list[str]) -> str:
        match argv:
            case ["sh", "-c", health.READ]:
                return "\n".join(f"{name}/{text}" for name in self.pids for text in (f"ready:{name} x", "deadline:0.5"))
            case ["sh", "-c", health.KILL, "sh", name]:
                self.away.add(name)
                return f"{ord(name)} {self.pids[name]}"
            case ["kill", "-CONT", boss]:
                name = chr(int(boss))
                self.pids[name] = next(self.numbers) if name not in self.lost else 0
                self.away -= set() if name in self.lost else {name}
                return ""
            case ["sh", "-c", health.PIDS, "sh", *names]:
                return "\n".join(f"{name} {self.pids[name] or -1}" for name in names)
        red = {name: "it is gone" for name in self.away if name not in self.blind}
        return json.dumps({"red": red}) + "\n" + "\n".join(self.pids)


def outcome_of(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    monkeypatch.setattr(health, "RED_S", 0.05)
    return kill_all(make_subject(engine), ["a", "b"])


def test_services_that_come_back_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(Supervised(), monkeypatch)

    assert outcome.wrong == {}
    assert outcome.back_s.keys() == {"a", "b"}


def test_one_that_nobody_misses_fails_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(Supervised(blind="b"), monkeypatch)

    assert outcome.wrong.keys() == {"b"}
    assert outcome.wrong["b"].expected == "health to be red without b"
    assert outcome.back_s.keys() == {"a"}


def test_one_that_stays_away_fails_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(Supervised(lost="a"), monkeypatch)

    assert outcome.wrong.keys() == {"a"}
    assert outcome.wrong["a"].found == "a: it is gone"
    assert outcome.back_s.keys() == {"b"}


def test_a_service_without_a_phase_cannot_be_seen_to_be_away() -> None:
    with pytest.raises(CheckFailure, match="names no phase"):
        health._await_own_green(make_subject(Supervised()), Service(name="a", deadline=0.05))
