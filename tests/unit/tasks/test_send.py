"""An image that is built here for another machine's engine: who builds, what travels, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest

from builder.core.labels import LABEL_PLAN
from builder.errors import ConfigError, EngineError
from builder.model import TaskStarted
from builder.tasks.build import Way, build_image
from builder.tasks.lock import keep_lock
from builder.tasks.prepare import prepare
from builder.tasks.send import send_image
from tests.unit.tasks.fakes import FakeEngine, World, make_image

LAYERS = ("sha256:a", "sha256:b", "sha256:c")
IMAGE = replace(make_image("devbox/x:1", {"dev.devbox.plan": "1"}), layers=LAYERS)
BASE = replace(make_image("base"), layers=LAYERS[:2])


def make_world(*there: object, **changes: object) -> World:
    engine = FakeEngine(images={"base": BASE} if there else {}, loadable={"devbox/x:1": IMAGE})
    for name, value in changes.items():
        setattr(engine, name, value)
    return World(engine=engine, builder=FakeEngine(images={"devbox/x:1": IMAGE}))


def send(world: World) -> None:
    assert world.builder is not None
    send_image(world.context(), world.builder, "devbox/x:1")


def test_all_is_asked_and_built_here_and_only_the_image_goes_there() -> None:
    world = World(engine=FakeEngine(), builder=FakeEngine(pullable=("ubuntu:22.04",)))
    assert world.builder is not None
    prepared = prepare(world.context())
    image = prepared.plan.image
    world.engine.loadable = {image: make_image(image, {LABEL_PLAN: prepared.plan.id})}
    sent = build_image(world.context(), prepared), build_image(world.context(), prepared)
    assert sent == (Way.SENT, Way.HERE)
    assert list(world.builder.built) == [image]
    assert world.engine.acts == [f"load tar of {image}", "without []"]


def test_where_nothing_has_to_be_built_this_machine_needs_no_engine() -> None:
    world = World(engine=FakeEngine(), builder=FakeEngine(pullable=("ubuntu:22.04",)))
    prepared = prepare(world.context())
    keep_lock(world.context(), prepared.lock)
    image = prepared.plan.image
    world.engine.images = {image: make_image(image, {LABEL_PLAN: prepared.plan.id})}
    context = replace(world.context(), builder=no_engine)
    assert build_image(context, prepare(context)) is Way.HERE
    world.engine.images = {}
    with pytest.raises(EngineError, match="there is no socket"):
        build_image(context, prepare(context))


def no_engine() -> NoReturn:
    raise EngineError("there is no socket")


def test_the_plan_is_that_of_a_build_over_there() -> None:
    here, there = FakeEngine(pullable=("ubuntu:22.04",)), FakeEngine(pullable=("ubuntu:22.04",))
    one = prepare(World(engine=FakeEngine(), builder=here).context()).plan
    assert one == prepare(World(engine=there).context()).plan


def test_layers_that_are_there_stay_here() -> None:
    world = make_world("base")
    send(world)
    assert world.engine.acts == ["load tar of devbox/x:1", "without [0, 1]"]
    assert [event.text for event in world.events if isinstance(event, TaskStarted)] == [
        "send 1 of 3 layers, 1.0 MB of 3.0 MB"
    ]


def test_where_a_layer_went_missing_meanwhile_all_of_them_go() -> None:
    world = make_world("base", lost_layer=EngineError("open layer.tar: no such file or directory"))
    send(world)
    assert world.engine.acts == ["load tar of devbox/x:1", "without []"]


def test_another_failure_is_told_and_not_tried_again() -> None:
    world = make_world("base", lost_layer=EngineError("no space left on device"))
    with pytest.raises(EngineError, match="no space"):
        send(world)
    assert world.engine.acts == []


def test_an_engine_that_then_has_another_image_is_told() -> None:
    world = make_world()
    world.engine.loadable = {"devbox/x:1": replace(IMAGE, labels={})}
    with pytest.raises(EngineError, match="has another image of that name now"):
        send(world)


def test_a_machine_of_another_kind_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    arm = replace(world.engine.version(), arch="arm64", host="ssh://far")
    monkeypatch.setattr(world.engine, "version", lambda: arm)
    with pytest.raises(ConfigError, match="this machine builds for amd64, and ssh://far is arm64"):
        prepare(world.context())
    assert world.builder is not None
    assert world.builder.acts == world.engine.acts == []
