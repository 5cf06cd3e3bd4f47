"""Where the base comes from: there already, pulled, bootstrapped, another one in its place, or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ConfigError, EngineError, LockError
from builder.model import Answers, Retrieval, StepProgress
from builder.tasks.base import ensure_base
from builder.tasks.build import build_image
from builder.tasks.demand import USE, Demand
from builder.tasks.prepare import prepare, read_request
from builder.tasks.relock import write_lock
from builder.views import ImageView
from tests.unit.tasks.fakes import FakeEngine, FakeSources, World, make_image

NOWHERE = {"ubuntu-22.04": "no mirror of ubuntu answers"}


def answers_of(world: World, *, again: bool = False) -> Answers:
    return prepare(world.context(), demand=Demand(again=again)).answers


def test_an_image_that_is_there_is_taken_and_nothing_is_pulled() -> None:
    world = World(engine=FakeEngine(images={"ubuntu:22.04": make_image("ubuntu:22.04")}))
    base = answers_of(world).base
    assert (base.how, base.reference, base.identity) == (Retrieval.LOCAL, "ubuntu:22.04", "sha256:ubuntu:22.04")
    assert world.engine.acts == []


def test_an_engine_on_another_kind_of_machine_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    prepared = prepare(World().context())
    arm = replace(world.engine.version(), arch="arm64", host="ssh://far")
    monkeypatch.setattr(world.engine, "version", lambda: arm)
    for go in (prepare, lambda context: build_image(context, prepared)):
        with pytest.raises(ConfigError, match="lays out workstations for amd64, and ssh://far is arm64"):
            go(world.context())
    assert world.engine.acts == []


def test_an_image_that_is_not_there_is_pulled() -> None:
    world = World()
    assert answers_of(world).base.how is Retrieval.PULL
    assert world.engine.acts == ["pull ubuntu:22.04"]
    assert [event.done for event in world.told(StepProgress)][:1] == [1]


def test_a_mirror_of_images_is_pulled_from_and_the_base_keeps_its_name() -> None:
    mirrored = "hub.example/mirror/library/ubuntu:22.04"
    world = World("mirrors: {images: hub.example/mirror}", engine=FakeEngine(pullable=(mirrored,)))
    assert answers_of(world).base.reference == "ubuntu:22.04"
    assert world.engine.acts == [f"pull {mirrored}", f"tag {mirrored} ubuntu:22.04"]


def test_the_id_of_a_base_does_not_tell_which_registry_gave_it() -> None:
    digest = f"sha256:{'a' * 64}"
    images = [replace(make_image("ubuntu:22.04"), digests=(f"{name}@{digest}",)) for name in ("ubuntu", "x.example/u")]
    worlds = [World(engine=FakeEngine(images={"ubuntu:22.04": image})) for image in images]
    assert [answers_of(world).base.identity for world in worlds] == [digest, digest]


def test_the_base_of_a_moment_is_another_one() -> None:
    texts = ("", "apt: {snapshot: 2024-01-15}", "apt: {snapshot: 2024-01-16}")
    references = [answers_of(World(text, engine=FakeEngine())).base.reference for text in texts]
    assert len(set(references)) == 3


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
    again = World(engine=FakeEngine(images={reference: make_image(reference, {"dev.devbox.base": "ubuntu-22.04"})}))
    assert answers_of(again).base.reference == reference
    assert again.engine.acts == []


def test_another_base_stands_in_where_the_wanted_one_cannot_be_had() -> None:
    world = World(engine=FakeEngine(), sources=FakeSources(no_bootstrap=NOWHERE))
    prepared = prepare(world.context())
    (instead,) = prepared.answers.substitutions
    assert (instead.what, instead.wanted, instead.got) == ("base", "ubuntu-22.04", "debian-12")
    assert "ubuntu-22.04 cannot be had: ubuntu:22.04 cannot be pulled; no mirror of ubuntu answers" in world.notes
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
    assert str(answers.substitutions[0]) == "oh-my-zsh: plain zsh in place of oh-my-zsh"
    assert "oh-my-zsh cannot be had: no route" in world.notes


# ---------------------------------------------------------------------------------------------------- memory


def test_answers_are_remembered() -> None:
    world = World()
    first = answers_of(world)
    assert answers_of(world) == first
    assert (world.engine.acts, world.sources.asked) == (["pull ubuntu:22.04"], ["oh-my-zsh"])


def test_answers_are_asked_for_again_on_request() -> None:
    world = World()
    answers_of(world)
    answers_of(world, again=True)
    assert world.sources.asked == ["oh-my-zsh", "oh-my-zsh"]


@pytest.mark.parametrize(
    ("config", "asked", "looked"),
    [
        ("base: debian-12", 1, ["looking for the base debian-12"]),
        ("base: {substitute: false}", 1, ["looking for the base ubuntu-22.04"]),
        ("sources: {oh-my-zsh: ./x.tar}", 2, []),
    ],
)
def test_only_the_other_question_is_asked(config: str, asked: int, looked: list[str]) -> None:
    world = World()
    write_lock(world.context(), USE)
    world.events.clear()
    world.config = config
    answers_of(world)
    assert world.sources.asked == ["oh-my-zsh"] * asked
    assert [note for note in world.notes if note.startswith("looking")] == looked


@pytest.mark.parametrize("config", ["ports: {vnc: 6901}", "apt: [htop]", "environment: {A: b}"])
def test_the_same_question_is_not_asked_twice(config: str) -> None:
    world = World()
    write_lock(world.context(), USE)
    world.config = config
    answers_of(world)
    assert world.sources.asked == ["oh-my-zsh"]


def test_looking_at_a_plan_can_ask_nothing() -> None:
    world = World()
    assert prepare(world.context(), ask=False).answers.base.how is Retrieval.PULL
    assert (world.engine.acts, world.sources.asked, world.engine.mirror.questions) == ([], [], [])


# ----------------------------------------------------------------------------------------- getting it there


def test_a_bootstrap_is_imported_once_and_its_notes_are_told() -> None:
    world = World(engine=FakeEngine(), sources=FakeSources(notes=("the index is old",)))
    resolved = read_request(world.context()).resolved
    base = answers_of(world).base
    for _ in range(2):
        ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.acts == ["pull ubuntu:22.04", "import devbox/base:ubuntu-22.04"]
    assert "the index is old" in world.warnings


def test_who_waited_for_another_one_that_made_the_base_takes_that() -> None:
    world = World(engine=FakeEngine())
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    made = make_image(base.reference, {"dev.devbox.base": "ubuntu-22.04"})
    world.engine.images.clear()
    world.engine.acts.clear()
    world.sources.before_alone = lambda: world.engine.images.update({base.reference: made})
    ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.acts == []
    assert world.warnings == ["waiting for process 7 of me, which bootstraps ubuntu-22.04"]


def test_a_base_that_vanished_is_pulled_again() -> None:
    world = World()
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    world.engine.images.clear()
    ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.acts == ["pull ubuntu:22.04", "pull ubuntu@sha256:ubuntu:22.04", "pull ubuntu:22.04"]
    world.engine = FakeEngine()
    with pytest.raises(LockError, match=r"cannot be had here: .* was refused"):
        ensure_base(world.context(), resolved.base, base, "amd64")


def of_digest(reference: str, digest: str) -> ImageView:
    return replace(make_image(reference), id=f"sha256:of {digest}", digests=(f"ubuntu@{digest}",))


DIGEST, NEWER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.mark.parametrize("mirror", ["", "hub.example:5000/mirror"])
def test_a_base_whose_tag_moved_is_pulled_by_the_digest_of_the_lock(mirror: str) -> None:
    world = World(f"mirrors: {{images: '{mirror}'}}" if mirror else "", engine=FakeEngine())
    world.engine.images["ubuntu:22.04"] = of_digest("ubuntu:22.04", DIGEST)
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    world.engine.images.clear()
    source = f"{mirror}/library/ubuntu" if mirror else "ubuntu"
    world.engine.registry = {
        f"{source}:22.04": of_digest("ubuntu:22.04", NEWER),
        f"{source}@{DIGEST}": of_digest("ubuntu:22.04", DIGEST),
    }
    ensure_base(world.context(), resolved.base, base, "amd64")
    assert world.engine.images["ubuntu:22.04"].digests == (f"ubuntu@{DIGEST}",)


def test_a_tag_that_stands_for_another_image_here_is_told_with_what_brings_that_of_the_lock() -> None:
    world = World(engine=FakeEngine(images={"ubuntu:22.04": of_digest("ubuntu:22.04", DIGEST)}))
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    world.engine.images["ubuntu:22.04"] = of_digest("ubuntu:22.04", NEWER)
    with pytest.raises(LockError, match="is another one than that of the lock") as caught:
        ensure_base(world.context(), resolved.base, base, "amd64")
    assert f"`docker pull ubuntu@{DIGEST} && docker tag ubuntu@{DIGEST} ubuntu:22.04`" in str(caught.value.hint)


@pytest.mark.parametrize("how", [Retrieval.LOCAL, Retrieval.PULL, Retrieval.BOOTSTRAP])
def test_a_base_of_the_lock_that_is_none_of_that_name_is_refused(how: Retrieval) -> None:
    world = World()
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    other = replace(base, reference="evil.example/x:latest", how=how)
    world.engine.images[other.reference] = replace(make_image(other.reference), id=base.identity)
    with pytest.raises(LockError, match=r"its base evil\.example/x:latest is no image of ubuntu-22\.04"):
        ensure_base(world.context(), resolved.base, other, "amd64")


def test_an_image_that_only_has_the_name_of_a_bootstrapped_base_is_refused() -> None:
    world = World(engine=FakeEngine())
    resolved, base = read_request(world.context()).resolved, answers_of(world).base
    world.engine.images[base.reference] = make_image(base.reference)
    with pytest.raises(EngineError, match="was not made by devbox"):
        ensure_base(world.context(), resolved.base, base, "amd64")
