"""What `up`, `down` and their like decide about sidecars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import EngineError, HostError, NotReadyError
from builder.model import ExecResult, Note
from builder.tasks.access import read_logs
from builder.tasks.demand import Demand
from builder.tasks.layout import read_request
from builder.tasks.lifecycle import stop_workstation, take_down
from builder.tasks.relock import write_lock
from builder.tasks.sidecars import wait_beside
from builder.tasks.status import describe_state, read_status
from builder.tasks.up import bring_up
from tests.unit.core.test_sidecars import DB
from tests.unit.tasks.fakes import FakeEngine, World, make_image

UP = ExecResult(code=0, stdout=b"", stderr=b"")


def make_world(text: str = "sidecars: [db]", *, pullable: bool = True) -> World:
    world = World(config=f"base: debian-12\n{text}", catalogue={"images/sidecars/db.yaml": DB})
    world.engine.pullable = ("debian:12-slim", *(("db:2",) if pullable else ()))
    world.engine.answers["is-up"] = UP
    return world


def up(world: World) -> list[str]:
    before = len(world.engine.acts)
    bring_up(world.context(), fingerprint="f")
    return world.engine.acts[before:]


def notes(world: World) -> str:
    return "\n".join(event.text for event in world.told(Note))


def test_the_image_of_the_registry_is_taken_where_it_can_be_had() -> None:
    world = make_world()
    acts = up(world)
    assert acts.index("start id-db") < acts.index("start id-my-app")  # both start side by side
    assert world.engine.beside["db"].image == "db:2"
    assert "in place of" not in notes(world)


def test_where_it_cannot_be_had_one_of_packages_stands_in_and_that_is_said() -> None:
    world = make_world(pullable=False)
    up(world)
    image = world.engine.beside["db"].image
    assert image.startswith("devbox/sidecar:db-")
    assert f"db: {image} in place of db:2 (db:2 cannot be pulled)" in notes(world)


def test_for_another_machine_it_is_built_by_this_ones_engine_where_that_is_asked_for() -> None:
    world = make_world(pullable=False)
    world.builder = FakeEngine(pullable=("debian:12-slim",))
    world.engine.pullable, world.engine.loadable = (), world.builder.images
    up(world)
    assert world.engine.beside["db"].image in world.builder.built
    assert world.engine.built == {}


def test_nothing_stands_in_where_devbox_yaml_says_so() -> None:
    world = make_world("sidecars: {db: {substitute: false}}", pullable=False)
    with pytest.raises(EngineError, match="the image db:2 of the sidecar db cannot be had"):
        up(world)


def test_without_a_network_one_is_taken_that_is_on_the_engine_and_nobody_is_asked() -> None:
    world = make_world()
    write_lock(world.context(), Demand())
    with pytest.raises(HostError, match="the image db:2 of the sidecar db is not on the engine"):
        bring_up(world.context(), fingerprint="f", demand=Demand(offline=True))
    assert "pull db:2" not in world.engine.acts
    world.engine.images["db:2"] = make_image("db:2")
    bring_up(world.context(), fingerprint="f", demand=Demand(offline=True))
    assert world.engine.beside["db"].image == "db:2"


def test_who_has_data_of_one_image_never_gets_the_other() -> None:
    world = make_world(pullable=True)
    world.engine.volume_names.append("my-app_sidecar-db-built")
    up(world)
    assert world.engine.beside["db"].image.startswith("devbox/sidecar:db-")


def test_a_second_up_does_nothing_and_one_after_a_change_makes_the_sidecar_anew() -> None:
    world = make_world()
    up(world)
    assert [act for act in up(world) if "db" in act] == []
    world.config = "base: debian-12\nsidecars: {db: {port: 5555}}"
    assert [act for act in up(world) if "db" in act and "volume" not in act] == [
        "stop id-db", "remove id-db, unnamed too", "create my-app-db-1", "start id-db"
    ]  # fmt: skip
    assert world.engine.beside["db"].ports == {5432: 5555}


def test_one_that_was_stopped_is_started_again() -> None:
    world = make_world()
    up(world)
    world.engine.stop("id-db", 1)
    assert [act for act in up(world) if "db" in act] == ["start id-db"]


def test_one_that_is_wanted_no_more_is_removed_and_its_volume_kept() -> None:
    world = make_world()
    up(world)
    world.config = "base: debian-12"
    assert [act for act in up(world) if "db" in act] == ["stop id-db", "remove id-db, unnamed too"]
    assert "my-app_sidecar-db" in world.engine.volume_names


def test_up_waits_for_it_and_says_what_it_said_last() -> None:
    world = make_world()
    world.engine.answers["is-up"] = ExecResult(code=1, stdout=b"", stderr=b"")
    with pytest.raises(NotReadyError, match="the sidecar db") as caught:
        up(world)
    assert caught.value.detail == "a line"
    assert world.workspace.state.fingerprint == ""  # the next `up` looks again


def test_one_that_ended_is_not_waited_for() -> None:
    world = make_world()
    up(world)
    world.engine.beside["db"] = replace(world.engine.beside["db"], state="exited")
    runtime = read_request(world.context()).resolved.runtime
    with pytest.raises(NotReadyError, match="the sidecar db ended") as caught:
        wait_beside(world.context(), "my-app", runtime.sidecars)
    assert caught.value.detail == "a line"


def test_start_says_it_where_a_sidecar_runs_in_a_way_that_its_file_has_no_more() -> None:
    world = make_world(pullable=False)
    up(world)
    built = read_request(world.context()).resolved.runtime.sidecars
    with pytest.raises(NotReadyError, match="which its file names no more"):
        wait_beside(world.context(), "my-app", [replace(item, built=None) for item in built])


def test_what_runs_is_written_down_though_a_sidecar_cannot_be_used() -> None:
    world = make_world("")
    up(world)
    world.config = "base: debian-12\nenvironment: {A: b}\nsidecars: [db]"
    world.engine.answers["is-up"] = ExecResult(code=1, stdout=b"", stderr=b"")
    with pytest.raises(NotReadyError):
        up(world)
    history = world.histories.load("my-app")
    assert history.current is not None
    assert history.previous is not None  # where `rollback` goes
    assert history.current.spec.environment["A"] == "b"
    assert "A" not in history.previous.spec.environment


def test_what_it_gives_is_handed_in_and_environment_of_devbox_yaml_wins() -> None:
    world = make_world()
    up(world)
    assert world.handed.values == {"DB_URL": "db://dev:password-of-db@db:5432/dev"}
    assert "DB_URL" not in str(world.workspace.tree["compose.yaml"].data)
    label = world.engine.containers["my-app"].labels["dev.devbox.environment"]
    world.config = "base: debian-12\nsidecars: [db]\nenvironment: {DB_URL: mine}"
    up(world)
    assert world.handed.values == {}
    assert label
    assert "dev.devbox.environment" not in world.engine.containers["my-app"].labels


def test_status_tells_of_it_and_logs_show_what_it_wrote() -> None:
    world = make_world(pullable=False)
    up(world)
    status = read_status(world.context(), "my-app")
    (beside,) = status.sidecars
    assert (beside.name, beside.state, beside.health) == ("db", "running", "healthy")
    words = describe_state(status)
    assert "beside    db is running, healthy" in words
    assert "in place of db:2" in words
    found = read_logs(world.context(), "my-app", service="db", follow=False, tail=None)
    assert list(found) == [b"a line"]


def test_stop_stops_it_and_down_removes_it_with_its_secrets_when_the_volumes_go() -> None:
    world = make_world()
    up(world)
    stop_workstation(world.context(), "my-app")
    assert world.engine.beside["db"].state == "exited"
    take_down(world.context(), "my-app", volumes=("my-app_sidecar-db",), secrets=True)
    assert not world.engine.beside
    assert world.handed.forgotten == ["my-app"]
    acts = world.engine.acts
    assert acts.index("remove id-db, unnamed too") < acts.index("remove network my-app")


def test_stop_and_down_reach_one_that_outlived_the_workstation_and_status_tells_of_it() -> None:
    world = make_world()
    up(world)
    world.engine.stop("id-my-app", 1)
    assert stop_workstation(world.context(), "my-app")
    assert world.engine.beside["db"].state == "exited"
    assert not stop_workstation(world.context(), "my-app")
    world.engine.remove("id-my-app")
    assert "db is stopped" in describe_state(read_status(world.context(), "my-app"))
    assert take_down(world.context(), "my-app")
    assert not world.engine.beside
    assert not take_down(world.context(), "my-app")
