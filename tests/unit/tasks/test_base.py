"""Where the base comes from: there already, pulled, bootstrapped, another one in its place, or refused."""

from __future__ import annotations

import pytest

from builder.errors import ConfigError, EngineError
from builder.model import Answers, Retrieval, StepProgress
from builder.tasks.base import ensure_base
from builder.tasks.prepare import prepare, read_request
from tests.unit.tasks.fakes import FakeEngine, FakeSources, World, make_image

NOWHERE = {"ubuntu-22.04": "no mirror of ubuntu answers"}


def answers_of(world: World, *, again: bool = False) -> Answers:
    return prepare(world.context(), again=again).answers


def test_an_image_that_is_there_is_taken_and_nothing_is_pulled() -> None:
    world = World(engine=FakeEngine(images={"ubuntu:22.04": make_image("ubuntu:22.04")}))
    base = answers_of(world).base
    assert (base.how, base.reference, base.identity) == (Retrieval.LOCAL, "ubuntu:22.04", "sha256:ubuntu:22.04")
    assert world.engine.acts == []


def test_an_image_that_is_not_there_is_pulled() -> None:
    world = World()
    assert answers_of(world).base.how is Retrieval.PULL
    assert world.engine.acts == ["pull ubuntu:22.04"]
    assert [event.done for event in world.told(StepProgress)][:1] == [1]


def test_what_cannot_be_pulled_is_bootstrapped_and_that_is_said() -> None:
    world = World(engine=FakeEngine())
    base = answers_of(world).base
    assert base.how is Retrieval.BOOTSTRAP
    assert base.reference.startswith("devbox/base:ubuntu-22.04-")
    assert "ubuntu:22.04 cannot be pulled here; ubuntu-22.04 is bootstrapped from an apt mirror" in world.notes
    assert "ubuntu:22.04 was refused" in world.log


def test_what_was_bootstrapped_before_is_found_again() -> None:
    world = World(engine=FakeEngine())
    reference = answers_of(world).base.reference
    again = World(engine=FakeEngine(images={reference: make_image(reference)}))
    assert answers_of(again).base.reference == reference
    assert again.engine.acts == []


def test_another_base_stands_in_where_the_wanted_one_cannot_be_had() -> None:
    world = World(engine=FakeEngine(), sources=FakeSources(no_bootstrap=NOWHERE))
    prepared = prepare(world.context())
    (instead,) = prepared.answers.substitutions
    assert (instead.what, instead.wanted, instead.got) == ("base", "ubuntu-22.04", "debian-12")
    assert instead.reason == "ubuntu:22.04 cannot be pulled; no mirror of ubuntu answers"
    assert prepared.resolved.base.name == "debian-12"
    assert (prepared.plan.requested_base, prepared.plan.base.name) == ("ubuntu-22.04", "debian-12")
    assert [tool.version for tool in prepared.resolved.tools if tool.name == "python"] == ["3.11"]


def test_nothing_stands_in_where_the_config_forbids_it() -> None:
    world = World("base: {substitute: false}", engine=FakeEngine(), sources=FakeSources(no_bootstrap=NOWHERE))
    with pytest.raises(ConfigError, match=r"the base ubuntu-22\.04 cannot be had here: ubuntu:22.04 cannot be pulled"):
        prepare(world.context())


def test_both_reasons_are_told_when_neither_can_be_had() -> None:
    reasons = {**NOWHERE, "debian-12": "no mirror of debian answers"}
    world = World(engine=FakeEngine(), sources=FakeSources(no_bootstrap=reasons))
    with pytest.raises(ConfigError) as caught:
        prepare(world.context())
    assert "neither ubuntu-22.04 nor debian-12 can be had here" in caught.value.message
    assert all(reason in caught.value.message for reason in reasons.values())
    assert caught.value.hint is not None


def test_an_archive_that_cannot_be_reached_falls_back_and_is_said() -> None:
    world = World(sources=FakeSources(no_archive={"oh-my-zsh": "no route"}))
    answers = answers_of(world)
    assert answers.absent == ("oh-my-zsh",)
    assert str(answers.substitutions[0]) == "oh-my-zsh: plain zsh in place of oh-my-zsh (no route)"


# ---------------------------------------------------------------------------------------------------- memory


def test_answers_are_remembered() -> None:
    world = World()
    first = answers_of(world)
    assert world.workspace.state.answers == first
    assert answers_of(world) == first
    assert (world.engine.acts, world.sources.asked) == (["pull ubuntu:22.04"], ["oh-my-zsh"])


def test_answers_are_asked_for_again_on_request() -> None:
    world = World()
    answers_of(world)
    answers_of(world, again=True)
    assert world.sources.asked == ["oh-my-zsh", "oh-my-zsh"]


@pytest.mark.parametrize("config", ["base: debian-12", "sources: {oh-my-zsh: ./x.tar}", "base: {substitute: false}"])
def test_another_question_is_asked(config: str) -> None:
    world = World()
    answers_of(world)
    world.config = config
    answers_of(world)
    assert world.sources.asked == ["oh-my-zsh", "oh-my-zsh"]


@pytest.mark.parametrize("config", ["ports: {vnc: 6901}", "apt: [htop]", "environment: {A: b}"])
def test_the_same_question_is_not_asked_twice(config: str) -> None:
    world = World()
    answers_of(world)
    world.config = config
    answers_of(world)
    assert world.sources.asked == ["oh-my-zsh"]


def test_looking_at_a_plan_can_ask_nothing() -> None:
    world = World()
    assert prepare(world.context(), ask=False).answers.base.how is Retrieval.PULL
    assert (world.engine.acts, world.sources.asked, world.workspace.state.answers) == ([], [], None)


# ----------------------------------------------------------------------------------------- getting it there


def test_a_bootstrap_is_imported_once_and_its_notes_are_told() -> None:
    world = World(engine=FakeEngine(), sources=FakeSources(notes=("the index is old",)))
    resolved = read_request(world.context()).resolved
    base = answers_of(world).base
    for _ in range(2):
        ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.acts == ["pull ubuntu:22.04", "import devbox/base:ubuntu-22.04"]
    assert "the index is old" in world.warnings


def test_a_base_that_vanished_is_pulled_again() -> None:
    world = World()
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    world.engine.images.clear()
    ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.acts == ["pull ubuntu:22.04", "pull ubuntu:22.04"]
    world.engine = FakeEngine()
    with pytest.raises(EngineError, match="was refused"):
        ensure_base(world.context(), resolved.base, base, "amd64")
