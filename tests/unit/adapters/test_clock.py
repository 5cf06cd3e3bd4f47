"""A wait ends with what it waited for, or says what was missing and for how long."""

from __future__ import annotations

import pytest

from builder.adapters import clock
from builder.errors import NotReadyError


class FakeTime:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    time = FakeTime()
    monkeypatch.setattr(clock, "time", time)
    return time


def test_answer_that_is_there_costs_no_time(fake: FakeTime) -> None:
    assert clock.wait_for("it", lambda: 0, deadline_s=5, interval_s=1) == 0
    assert fake.naps == []


def test_late_answer_is_returned(fake: FakeTime) -> None:
    assert clock.wait_for("it", lambda: "yes" if fake.now >= 2 else None, deadline_s=5, interval_s=0.5) == "yes"
    assert fake.now == 2


def test_missing_answer_names_what_how_long_and_why(fake: FakeTime) -> None:
    with pytest.raises(NotReadyError, match=r"waited 2\.5 s for the first frame") as caught:
        clock.wait_for("the first frame", lambda: None, deadline_s=2.5, interval_s=1, why=lambda: "Xvnc: no font")
    assert caught.value.detail == "Xvnc: no font"
    assert fake.naps == [1, 1, 0.5]
