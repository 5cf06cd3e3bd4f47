"""What several workspaces share is made by one of them at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from builder.adapters.hostinfo import NetworkSettings
from builder.adapters.sources import HostSources
from builder.errors import Interrupted


def make_sources(cache: Path, *, stopped: threading.Event) -> HostSources:
    return HostSources(cache, settings=NetworkSettings, stopped=stopped.is_set)


def test_the_second_one_waits_for_the_first_and_is_told_for_whom(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []
    waits = threading.Event()

    def tell(who: str) -> None:
        said.append(who)
        waits.set()

    def second() -> None:
        with make_sources(tmp_path, stopped=threading.Event()).alone("base-x", tell):
            order.append("second")

    thread = threading.Thread(target=second)
    with make_sources(tmp_path, stopped=threading.Event()).alone("base-x", lambda _: None):
        thread.start()
        assert waits.wait(10)
        with make_sources(tmp_path, stopped=threading.Event()).alone("base-y", lambda _: None):
            order.append("something else")
        order.append("first")
    thread.join(10)
    assert order == ["something else", "first", "second"]
    assert len(said) == 1
    assert said[0].startswith("process ")


def test_who_is_stopped_waits_no_longer(tmp_path: Path) -> None:
    stopped = threading.Event()
    with (
        make_sources(tmp_path, stopped=threading.Event()).alone("base-x", lambda _: None),
        pytest.raises(Interrupted),
        make_sources(tmp_path, stopped=stopped).alone("base-x", lambda _: stopped.set()),
    ):
        raise AssertionError("two at once")
