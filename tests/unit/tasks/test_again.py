"""When `up` starts a workstation from what was recorded of it, and what it leaves to the long way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from builder.adapters.history import dump_history
from builder.core.generations import Hold
from builder.core.recorded import read_recorded
from builder.errors import ConfigError, EngineError, LockError, NotReadyError, PortTakenError
from builder.model import Note, PhaseReached, State, TaskEnded, TaskStarted
from builder.tasks.again import start_unchanged
from builder.tasks.prepare import is_alone, read_request
from builder.tasks.unfinished import mark_of
from builder.tasks.up import bring_up
from builder.views import PartView
from tests.unit.core.builders import FACTS
from tests.unit.tasks.fakes import FakeEngine, FakeSources, World, make_container, probe_line

NAME = "my-app-workstation-1"
PROBE = "run /usr/lib/devbox/probe wait --timeout 120"
PARTS = ["network my-app_default", "volume my-app_home", "volume my-app_projects"]
CREATE = [f"create {NAME}", "start id-my-app", PROBE]


@pytest.fixture
def world() -> World:
    """With a workstation that was up, and was taken down."""
    return make_world()


def make_world(config: str | None = None) -> World:
    engine = FakeEngine(pullable=("debian:12-slim",))  # no ubuntu: another base stands in
    world = World(config=config, engine=engine, sources=FakeSources(no_bootstrap={"ubuntu-22.04": "no keyring"}))
    bring_up(world.context(), fingerprint="f")
    take_down(world)
    return world


def take_down(world: World) -> None:
    world.engine.containers.clear()
    world.engine.acts.clear()
    world.workspace.locks.clear()
    world.events.clear()


def again(world: World) -> bool:
    return start_unchanged(world.context(), "f") is not None


def test_what_was_taken_down_is_made_as_it_was_and_waited_for(world: World) -> None:
    started = start_unchanged(world.context(), "f")
    assert started is not None
    assert (started.project, started.phases) == ("my-app", {"x": 0.2, "frame": 0.9})
    assert world.engine.acts == [*PARTS, *CREATE]
    assert world.workspace.locks == ["up"]
    assert world.workspace.acts[-4:] == [
        "making its network and volumes", f"making {NAME}", f"starting {NAME}", "waiting until it can be used",
    ]  # fmt: skip


def test_what_was_stopped_is_started(world: World) -> None:
    bring_up(world.context(), fingerprint="f")
    world.engine.stop(NAME, 0)
    world.engine.acts.clear()
    assert again(world)
    assert world.engine.acts == ["start id-my-app", PROBE]


def test_it_tells_what_the_long_way_tells(world: World) -> None:
    assert again(world)
    told = list(world.events)
    take_down(world)
    bring_up(world.context(), fingerprint="f")
    assert [without_time(event) for event in told] == [without_time(event) for event in world.events]
    assert {type(event) for event in told} >= {Note, TaskStarted, TaskEnded, PhaseReached}
    assert world.warnings


def without_time(event: object) -> object:
    return replace(event, seconds=0.0) if isinstance(event, TaskEnded) else event


def test_container_state_and_history_are_those_of_the_long_way(world: World) -> None:
    assert again(world)
    ours = dict(world.engine.containers), world.workspace.state, dict(world.histories.kept)
    take_down(world)
    bring_up(world.context(), fingerprint="f")
    assert ours == (world.engine.containers, world.workspace.state, world.histories.kept)


def test_when_it_was_made_is_written_down_and_nothing_else(world: World) -> None:
    before = world.histories.load("my-app")
    made = world.engine.create_container
    world.engine.create_container = lambda *args, **named: _dated(world, made(*args, **named))  # type: ignore[method-assign]
    assert again(world)
    assert before.current is not None
    after = replace(before, current=replace(before.current, made="2026-11-26T13:00:00Z"))
    assert world.histories.load("my-app") == after


def _dated(world: World, container: str) -> str:
    world.engine.containers["my-app"] = replace(world.engine.containers["my-app"], created="2026-11-26T13:00:00Z")
    return container


LONG: dict[str, Callable[[World], object]] = {
    "another devbox.yaml or devbox": lambda it: set_state(it, fingerprint="g"),
    "held by a rollback": lambda it: set_state(it, fingerprint=""),
    "more than a container": lambda it: set_state(it, alone=False),
    "another workstation since": lambda it: set_state(it, spec="0"),
    "another name": lambda it: set_state(it, project="other"),
    "ports were chosen anew": lambda it: set_state(it, ports={**it.workspace.state.ports, "web=6080": 6099}),
    "another lock": lambda it: setattr(it.workspace, "lock_file", b"{}"),
    "no lock": lambda it: setattr(it.workspace, "lock_file", None),
    "one was killed": lambda it: setattr(it.workspace, "killed", True),
    "no history": lambda it: it.histories.kept.clear(),
    "gone back to": lambda it: set_history(it, hold=Hold(config="c", plan="p")),
    "older images wait": lambda it: set_history(it, older=("sha256:1",)),
    "the image is gone": lambda it: it.engine.images.clear(),
    "the image was built again": lambda it: set_images(it, id="sha256:new"),
    "the image is another's": lambda it: set_images(it, labels={}),
    "another volume after a restore": lambda it: it.backups.names.update(home="my-app_home-2"),
    "a volume is not whole": lambda it: it.engine.volume_names.append(mark_of("my-app_home")),
    "a port is taken": lambda it: it.ports.busy.update({6080: "nginx"}),
    "another machine": lambda it: setattr(it.engine, "there", "far"),
    "it runs": lambda it: put(it, state="running"),
    "it never ran": lambda it: put(it, state="created"),
    "it was made otherwise": lambda it: put(it, labels={"dev.devbox.workspace": "/w"}),
    "a sidecar of before": lambda it: it.engine.beside.update(db=make_container(id="db", name="db")),
    "a switch was cut off": lambda it: it.engine.coming.update({"my-app": make_container(name=f"{NAME}.next")}),
}  # fmt: skip


@pytest.mark.parametrize("case", ["another devbox.yaml or devbox", "no lock", "one was killed"])
def test_the_lock_is_not_taken_where_it_is_plain_before(world: World, case: str) -> None:
    """A mistake in devbox.yaml is told before anything is made, also before the file that is locked."""
    LONG[case](world)
    assert not again(world)
    assert world.workspace.locks == []


def test_a_damaged_state_is_the_long_ways_to_tell(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> State:
        raise LockError("is damaged")

    monkeypatch.setattr(world.workspace, "load_state", load)
    assert not again(world)
    assert world.workspace.locks == []


def test_what_changed_while_it_waited_for_another_one_goes_the_long_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def lock(verb: str) -> Iterator[bool]:
        set_state(world, fingerprint="g")
        yield False

    monkeypatch.setattr(world.workspace, "lock", lock)
    assert not again(world)
    assert world.engine.acts == []


def set_state(world: World, **changes: object) -> None:
    world.workspace.state = replace(world.workspace.state, **changes)  # type: ignore[arg-type]


def set_history(world: World, **changes: object) -> None:
    world.histories.save("my-app", replace(world.histories.load("my-app"), **changes))  # type: ignore[arg-type]


def set_images(world: World, **changes: object) -> None:
    images = world.engine.images
    world.engine.images = {name: replace(image, **changes) for name, image in images.items()}  # type: ignore[arg-type]


def put(world: World, **changes: object) -> None:
    bring_up(world.context(), fingerprint="f")
    made = world.engine.containers["my-app"]
    world.engine.containers["my-app"] = replace(made, **{"state": "exited", **changes})  # type: ignore[arg-type]
    world.engine.acts.clear()


@pytest.mark.parametrize("case", LONG)
def test_what_is_not_plain_is_left_to_the_long_way_untouched(world: World, case: str) -> None:
    LONG[case](world)
    world.events.clear()
    assert not again(world)
    assert (world.engine.acts, world.events) == ([], [])


@pytest.mark.parametrize(
    ("config", "alone"),
    [(None, True), ("env_file: false", True), ("environment: {A: b}", True), ("hooks: {on_start: make}", False),
     ("dotfiles: 'https://x.example/d.git'", False), ("expose: true", False), ("env_file: there.env", False),
     ("env_file: odd.env", False), ("env_file: none.env", True), ("ssh: {authorized_keys: ['~/k.pub']}", False)],
)  # fmt: skip
def test_whether_there_is_more_to_bring_than_a_container(config: str | None, alone: bool) -> None:
    world = World(config=config)
    world.handed.files |= {f"{FACTS.workspace}/there.env": {}, f"{FACTS.workspace}/odd.env": ConfigError("is odd")}
    context = world.context()
    assert is_alone(context, read_request(context).resolved.runtime) is alone


def test_a_port_that_is_taken_just_then_leaves_nothing_and_goes_the_long_way(world: World) -> None:
    world.engine.start_errors["id-my-app"] = PortTakenError("port 6080 is taken")
    assert not again(world)
    assert world.engine.acts == [*PARTS, *CREATE[:2], "remove id-my-app"]
    assert not world.engine.containers
    world.engine.start_errors.clear()
    world.ports.busy[6080] = "nginx"
    assert bring_up(world.context(), fingerprint="f").changed
    assert "port 6080 (web) is taken by nginx: 6081 instead" in world.warnings


def test_what_was_stopped_and_does_not_start_stays_for_the_long_way(world: World) -> None:
    put(world)
    world.engine.start_errors["id-my-app"] = EngineError("no cpu")
    assert not again(world)
    assert world.engine.containers["my-app"].state == "exited"


def test_one_that_cannot_be_used_is_told_as_ever(world: World) -> None:
    world.engine.probe = (probe_line(phase="wm", failed="no window", log=["xfwm4 died"]),)
    before = world.histories.load("my-app")
    with pytest.raises(NotReadyError, match=f"{NAME} runs, but cannot be used: wm: no window"):
        again(world)
    assert world.histories.load("my-app") == before


def test_what_somebody_else_made_is_refused_as_ever(world: World) -> None:
    world.engine.foreign = EngineError("a volume named my-app_home exists and was not made by devbox")
    with pytest.raises(EngineError, match="was not made by devbox"):
        again(world)
    world.engine.foreign = None
    world.engine.parts = (PartView(kind="volume", name="my-app_home", workspace="/other"),)
    with pytest.raises(EngineError, match="belongs to another folder, /other"):
        again(world)
    assert world.engine.acts == []


def test_a_stopped_container_of_another_folder_is_refused(world: World) -> None:
    put(world)
    made = world.engine.containers["my-app"]
    labels = {**made.labels, "dev.devbox.workspace": "/other"}
    world.engine.containers["my-app"] = replace(made, labels=labels)
    with pytest.raises(EngineError, match="belongs to another folder, /other"):
        again(world)


def test_volumes_that_a_restore_filled_become_those_of_this_folder(world: World) -> None:
    world.engine.parts = (PartView(kind="volume", name="my-app_home", workspace=""),)
    assert again(world)
    assert "make volume my-app_taken" in world.engine.acts


def test_secrets_elsewhere_go_the_long_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ensured = world.keys.ensure
    monkeypatch.setattr(world.keys, "ensure", lambda *args, **named: replace(ensured(*args, **named), folder="/else"))
    assert not again(world)
    assert world.engine.acts == []


def test_who_reads_the_secrets_inside_is_the_user_of_a_locked_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world("security: {level: locked}")
    readers: list[object] = []
    ensured = world.keys.ensure

    def ensure(*args: object, reader: object = None) -> object:
        readers.append(reader)
        return ensured(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.keys, "ensure", ensure)
    assert again(world)
    take_down(world)
    bring_up(world.context(), fingerprint="f")
    assert len(readers) == 2
    assert readers[0] == readers[1] is not None


@pytest.mark.parametrize(
    "damage",
    [{}, {"spec": {}}, {"memory": 1}, {"ports": 7}, {"health": {"test": []}}, {"labels": {}}, {"unknown": 1}],
    ids=str,
)
def test_a_record_that_is_not_what_it_says_is_none(world: World, damage: dict[str, object]) -> None:
    history = json.loads(dump_history(world.histories.load("my-app")))["history"]
    assert read_recorded(history) == world.histories.recall("my-app")
    spec = {**history["current"]["spec"], **damage} if damage else None
    assert read_recorded({**history, "current": {**history["current"], "spec": spec}}) is None
    assert read_recorded({**history, "current": None}) is None
    assert read_recorded(None) is None
