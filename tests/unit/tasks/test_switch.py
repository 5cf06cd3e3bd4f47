"""A workstation that is replaced: what ran before comes back when the new one fails, and a killed switch is mended."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import pytest
import yaml

from builder.core.labels import LABEL_WORKSPACE
from builder.errors import BuildError, DevboxError, EngineError, NotReadyError, PortTakenError
from builder.tasks.lifecycle import start_workstation, stop_workstation, take_down
from builder.tasks.switch import settle
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import READY, World, make_container, probe_line

NAME = "my-app-workstation-1"
NEXT = f"{NAME}.next"
FAILS = probe_line(phase="panel", failed="no window", log=["cannot open display"])


@pytest.fixture
def world() -> World:
    """With a workstation that is up, and a devbox.yaml that wants another one."""
    world = World()
    bring_up(world.context(), fingerprint="f")
    world.engine.acts.clear()
    world.config = "environment: {EDITOR: vim}"
    return world


def fail(world: World) -> DevboxError:
    with pytest.raises(DevboxError) as caught:
        bring_up(world.context(), fingerprint="f")
    return caught.value


def test_one_that_cannot_be_made_never_stops_what_runs(world: World) -> None:
    def refuse(*arguments: object, **options: object) -> str:
        raise EngineError("no such folder", hint="make it")

    world.engine.create_container = refuse  # type: ignore[method-assign]
    assert fail(world).message == "no such folder"
    assert not [act for act in world.engine.acts if act.startswith(("stop", "remove"))]


def test_one_that_does_not_start_gives_way_to_what_was_there(world: World) -> None:
    world.engine.start_errors[f"id-{NEXT}"] = EngineError("no such device", hint="look at it")
    error = fail(world)
    assert (error.message, error.hint) == (f"no such device; {NAME} of before runs again", "look at it")
    assert isinstance(error, EngineError)
    assert world.engine.containers["my-app"].state == "running"
    assert world.engine.coming == {}
    assert world.workspace.state.fingerprint == "f", "what runs is what was remembered"


def test_one_that_cannot_be_used_gives_way_to_what_was_there(world: World) -> None:
    probes = iter([[FAILS], world.engine.probe])
    world.engine.next_probe = lambda: next(probes)
    error = fail(world)
    assert isinstance(error, NotReadyError)
    assert error.message == f"{NAME} runs, but cannot be used: panel: no window; {NAME} of before runs again"
    assert error.detail == "cannot open display"
    assert "devbox verify --image devbox/" in (error.hint or "")
    assert [act for act in world.engine.acts if act.startswith(("remove", "start"))] == [
        f"start id-{NEXT}", f"remove id-{NEXT}", "start id-my-app",
    ]  # fmt: skip


def test_what_comes_back_and_cannot_be_used_either_is_told(world: World) -> None:
    world.engine.probe = [FAILS]
    assert fail(world).message.endswith(
        f"; {NAME} of before was started again: {NAME} runs, but cannot be used: panel: no window"
    )


def test_what_cannot_come_back_is_told(world: World) -> None:
    world.engine.start_errors = {f"id-{NEXT}": EngineError("no"), "id-my-app": EngineError("no room", hint="none")}
    assert fail(world).message == f"no; {NAME} of before cannot be started again: no room"


def test_what_was_stopped_stays_stopped(world: World) -> None:
    world.engine.stop(NAME, 0)
    world.engine.probe = [FAILS]
    assert fail(world).message.endswith(f"; {NAME} stays as it was: exited")
    assert world.engine.containers["my-app"].state == "exited"


def test_an_interrupt_brings_back_what_was_there_and_does_not_wait_for_it(world: World) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    world.engine.next_probe = interrupt
    with pytest.raises(KeyboardInterrupt):
        bring_up(world.context(), fingerprint="f")
    assert world.engine.acts[-2:] == [f"remove id-{NEXT}", "start id-my-app"]


def test_a_port_that_is_taken_meanwhile_is_replaced(world: World) -> None:
    def steal() -> None:
        world.ports.busy[5901] = "thief"
        world.engine.containers["my-app"] = dataclasses.replace(world.engine.containers["my-app"], ports={})
        raise PortTakenError("port 5901 is taken")

    world.engine.on_start[f"id-{NEXT}"] = steal
    outcome = bring_up(world.context(), fingerprint="f")
    assert {port.name: port.host for port in outcome.spec.ports}["vnc"] == 5902
    assert world.engine.containers["my-app"].ports[5901] == 5902
    assert world.engine.coming == {}


@pytest.mark.parametrize(("times", "works"), [(1, True), (2, False)])
def test_a_port_that_is_free_again_when_it_is_looked_for_is_tried_once_more(
    world: World, times: int, works: bool
) -> None:
    held = iter(range(times))

    def hold() -> None:
        world.engine.containers["my-app"] = dataclasses.replace(world.engine.containers["my-app"], ports={})
        world.engine.on_start[f"id-{NEXT}"] = hold
        if next(held, None) is not None:
            raise PortTakenError("port 5901 is taken")

    world.engine.on_start[f"id-{NEXT}"] = hold
    with nullcontext() if works else pytest.raises(PortTakenError):
        outcome = bring_up(world.context(), fingerprint="f")
        assert {port.name: port.host for port in outcome.spec.ports}["vnc"] == 5901


# ---------------------------------------------------------------------------------------------- killed half-way


@pytest.fixture
def halved(world: World) -> World:
    """Killed after the new one was started, before it could be used."""
    world.engine.stop(NAME, 0)
    world.engine.coming["my-app"] = make_container(id=f"id-{NEXT}", name=NEXT, health="starting")
    probes = iter([[FAILS]])
    world.engine.next_probe = lambda: next(probes, world.engine.probe)
    world.engine.acts.clear()
    return world


@pytest.fixture
def nearly(halved: World) -> World:
    """Killed when it could be used, before the old one was removed."""
    halved.engine.next_probe = None
    return halved


def test_one_that_was_to_come_is_removed_where_the_old_one_is_there(halved: World) -> None:
    container = settle(halved.context(), "my-app")
    assert container == halved.engine.containers["my-app"]
    assert halved.engine.acts[-1] == f"remove id-{NEXT}"
    assert "cut off" in halved.notes[-1]


@pytest.mark.parametrize("change", [{"state": "created"}, {"health": "unhealthy"}])
def test_one_that_cannot_be_used_for_sure_is_not_waited_for(nearly: World, change: dict[str, str]) -> None:
    nearly.engine.coming["my-app"] = dataclasses.replace(nearly.engine.coming["my-app"], **change)  # type: ignore[arg-type]
    settle(nearly.context(), "my-app")
    assert nearly.engine.acts == [f"remove id-{NEXT}"]


def test_the_old_one_that_runs_stays(nearly: World) -> None:
    nearly.engine.start("id-my-app")
    container = settle(nearly.context(), "my-app")
    assert container is not None
    assert container.id == "id-my-app"
    assert nearly.engine.coming == {}


def test_one_that_can_be_used_takes_the_place_of_the_old_one_that_is_stopped(nearly: World) -> None:
    container = settle(nearly.context(), "my-app")
    assert container is not None
    assert (container.id, container.name) == (f"id-{NEXT}", NAME)
    assert nearly.engine.acts[-2:] == ["remove id-my-app", f"rename id-{NEXT} {NAME}"]
    assert "takes its place" in nearly.notes[-1]


def test_start_does_not_throw_away_what_can_be_used(nearly: World) -> None:
    start_workstation(nearly.context(), "my-app")
    assert f"remove id-{NEXT}" not in nearly.engine.acts
    assert nearly.engine.containers["my-app"].id == f"id-{NEXT}"


def test_one_that_came_gets_the_name_where_the_old_one_is_gone(halved: World) -> None:
    halved.engine.containers.clear()
    container = settle(halved.context(), "my-app")
    assert container is not None
    assert (container.id, container.name) == (f"id-{NEXT}", NAME)
    assert halved.engine.acts == [f"rename id-{NEXT} {NAME}"]


def test_up_goes_on_from_there(halved: World) -> None:
    bring_up(halved.context(), fingerprint="f")
    assert halved.engine.coming == {}
    assert halved.engine.containers["my-app"].name == NAME
    assert halved.engine.containers["my-app"].state == "running"


def test_start_stop_and_down_mend_it_too(halved: World) -> None:
    coming = {"my-app": dataclasses.replace(halved.engine.coming["my-app"], state="created")}
    start_workstation(halved.context(), "my-app")
    assert halved.engine.acts[1:3] == [f"remove id-{NEXT}", "start id-my-app"]
    halved.engine.coming = dict(coming)
    stop_workstation(halved.context(), "my-app")
    assert halved.engine.coming == {}
    halved.engine.coming = dict(coming)
    take_down(halved.context(), "my-app")
    assert (halved.engine.coming, halved.engine.containers) == ({}, {})


def test_that_of_another_folder_is_not_mended(halved: World) -> None:
    halved.engine.coming["my-app"] = make_container(name=NEXT, labels={LABEL_WORKSPACE: "/somewhere/else"})
    with pytest.raises(EngineError, match="belongs to another folder"):
        settle(halved.context(), "my-app")
    assert halved.engine.acts == []


# ------------------------------------------------------------------------------------------------- compose.yaml


def image_of_compose(world: World) -> str:
    found: str = yaml.safe_load(world.workspace.tree["compose.yaml"].data)["services"]["workstation"]["image"]
    return found


@pytest.mark.parametrize("how", ["build", "probe"])
def test_compose_yaml_stays_that_of_what_can_be_used(world: World, how: str) -> None:
    before = image_of_compose(world)
    world.config = "apt: [tree]"
    if how == "build":
        world.engine.build_error = BuildError("exit code 100")
    else:
        world.engine.probe = [FAILS]
    fail(world)
    assert image_of_compose(world) == before
    world.engine.build_error, world.engine.probe = None, READY
    outcome = bring_up(world.context(), fingerprint="f")
    assert image_of_compose(world) == outcome.spec.image != before


@pytest.mark.parametrize("how", ["build", "probe"])
def test_compose_yaml_of_a_change_that_failed_does_not_have_the_volumes_of_before_a_restore(
    world: World, how: str
) -> None:
    world.backups.names = {"home": "my-app_home_2026-1"}
    world.workspace.drop("compose.yaml")  # as `restore` does
    if how == "build":
        world.config = "apt: [tree]"
        world.engine.build_error = BuildError("exit code 100")
    else:
        world.engine.probe = [FAILS]
    fail(world)
    compose = world.workspace.tree.get("compose.yaml")
    assert (compose is None) == (how == "probe"), "written before a build; else once the new one can be used"
    assert compose is None or b"my-app_home_2026-1" in compose.data
