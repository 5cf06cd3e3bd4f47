"""Which port of the host each door gets."""

from __future__ import annotations

import dataclasses

import pytest

from builder.errors import EngineError, HostError
from builder.model import PortRequest, Runtime, State
from builder.tasks.ports import choose_ports
from builder.tasks.prepare import read_request
from tests.unit.tasks.fakes import FakeEngine, FakePorts, World, make_container


def choose(
    *wanted: PortRequest, busy: dict[int, str] | None = None, remembered: dict[str, int] | None = None,
    held: set[int] | None = None,
) -> tuple[dict[str, int], list[str]]:  # fmt: skip
    world = World(ports=FakePorts(busy=busy or {}))
    runtime: Runtime = dataclasses.replace(read_request(world.context()).resolved.runtime, ports=wanted)
    found = choose_ports(world.context(), runtime, State(ports=remembered or {}), held or set())
    return found, world.warnings


def port(name: str = "vnc", host: int = 5901, *, pinned: bool = False) -> PortRequest:
    return PortRequest(name=name, container=host, host=host, pinned=pinned)


def test_a_free_port_is_taken_in_silence() -> None:
    assert choose(port()) == ({"vnc": 5901}, [])


def test_the_next_free_port_is_taken_and_said() -> None:
    found, said = choose(port(), busy={5901: "Xvnc", 5902: ""})
    assert found == {"vnc": 5903}
    assert said == ["port 5901 (vnc) is taken by Xvnc: 5903 instead"]


def test_who_holds_a_port_may_be_unknown() -> None:
    assert choose(port(), busy={5901: ""})[1] == ["port 5901 (vnc) is taken by another program: 5902 instead"]


def test_what_was_found_before_is_taken_again() -> None:
    assert choose(port(), remembered={"vnc=5901": 5903}) == ({"vnc": 5903}, [])


def test_another_wish_is_not_answered_from_memory() -> None:
    assert choose(port(host=6041), remembered={"vnc=5901": 5903}) == ({"vnc": 6041}, [])


def test_our_own_container_is_no_obstacle() -> None:
    assert choose(port(), busy={5901: "docker-proxy"}, held={5901}) == ({"vnc": 5901}, [])


def test_two_doors_never_get_the_same_port() -> None:
    found, _ = choose(port(), port("web", 5902), busy={5901: "x"})
    assert found == {"vnc": 5902, "web": 5903}


def test_a_pinned_port_that_is_busy_names_who_has_it() -> None:
    with pytest.raises(HostError, match="port 5901 is taken by Xvnc, and `vnc` is pinned to it") as caught:
        choose(port(pinned=True), busy={5901: "Xvnc"})
    assert (caught.value.exit_code, caught.value.where) == (8, "devbox.yaml")
    assert caught.value.hint is not None


def test_a_pinned_port_does_not_follow_the_memory() -> None:
    assert choose(port(pinned=True), remembered={"vnc": 5903})[0] == {"vnc": 5901}


def test_the_range_ends() -> None:
    with pytest.raises(HostError, match="no free port from 65530 on for vnc"):
        choose(port(host=65530), busy=dict.fromkeys(range(65530, 65536), "x"))


def test_a_busy_port_is_named_by_its_container_and_without_an_engine_by_its_process() -> None:
    world = World(ports=FakePorts(busy={5901: "docker-proxy"}))
    world.engine.containers["shop"] = make_container("shop", ports={5901: 5901})
    runtime = read_request(world.context()).resolved.runtime
    choose_ports(world.context(), runtime, State(), set())

    def no_engine() -> FakeEngine:
        raise EngineError("there is no engine")

    choose_ports(dataclasses.replace(world.context(), engine=no_engine), runtime, State(), set())
    assert world.warnings == [
        "port 5901 (vnc) is taken by shop-workstation-1: 5902 instead",
        "port 5901 (vnc) is taken by docker-proxy: 5902 instead",
    ]
