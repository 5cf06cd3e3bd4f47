"""Which image is taken from a registry in place of a build, what is told where none is, and what a push leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ConfigError, EngineError
from builder.tasks.build import Way, build_image
from builder.tasks.prepare import prepare
from builder.tasks.registry import pull_image, push_image
from builder.views import ImageView
from tests.unit.tasks.fakes import World, make_image

CONFIG = "cache: registry.example/team\n"


def make_world() -> tuple[World, str, str, ImageView]:
    """One whose folder has a registry; the plan's tag, its name there, and the image as a build would make it."""
    world = World(config=CONFIG)
    plan = prepare(world.context()).plan
    reference = plan.image.replace("devbox/", "registry.example/team/")
    image = replace(make_image(reference, plan.labels), id="sha256:shared")
    return world, plan.image, reference, image


def build(world: World, **how: object) -> Way:
    return build_image(world.context(), prepare(world.context()), **how)  # type: ignore[arg-type]


def test_an_image_that_is_shared_is_taken_in_place_of_a_build_and_gets_our_name_alone() -> None:
    world, tag, reference, image = make_world()
    world.engine.shared[reference] = image
    assert build(world) is Way.PULLED
    assert world.engine.images[tag] == image
    assert reference not in world.engine.images
    assert "build" not in world.engine.acts
    assert world.warnings == []


def test_where_the_image_is_here_or_is_to_be_made_anew_or_there_is_no_registry_nothing_is_asked() -> None:
    world, tag, reference, image = make_world()
    world.engine.images[tag] = image
    assert build(world) is Way.HERE
    assert build(world, fresh=True) is Way.BUILT
    assert build(world, tag="other:1") is Way.BUILT
    assert f"ask for {reference}" not in world.engine.acts
    plain = World()
    assert build(plain) is Way.BUILT
    assert not [act for act in plain.engine.acts if act.startswith("ask for")]


def test_a_registry_without_the_image_is_no_warning() -> None:
    world, _, reference, _ = make_world()
    assert build(world) is Way.BUILT
    assert f"ask for {reference}" in world.engine.acts
    assert world.warnings == []


def test_a_registry_that_fails_is_told_with_its_cause_and_the_image_is_built() -> None:
    world, _, reference, _ = make_world()
    world.engine.shared[reference] = EngineError("no answer", hint="look at the network")
    assert build(world) is Way.BUILT
    told = "the shared image is not taken: no answer; it is built here instead (look at the network)"
    assert world.warnings == [told]


@pytest.mark.parametrize("label", ["plan", "profile", "base", "steps"])
def test_an_image_with_another_label_is_told_and_not_kept(label: str) -> None:
    world, tag, reference, image = make_world()
    world.engine.shared[reference] = replace(image, labels={**image.labels, f"dev.devbox.{label}": "other"})
    assert build(world) is Way.BUILT
    (told,) = world.warnings
    assert f"{reference} is another image: its labels dev.devbox.{label} are not the plan's" in told
    assert world.engine.images[tag].id != "sha256:shared"
    assert reference not in world.engine.images


def test_an_image_for_another_processor_is_told() -> None:
    world, _, reference, image = make_world()
    world.engine.shared[reference] = replace(image, arch="arm64")
    assert build(world) is Way.BUILT
    assert "it is for arm64, not amd64" in world.warnings[0]


def test_what_one_machine_pushed_another_one_pulls() -> None:
    world, tag, reference, _ = make_world()
    build(world)
    pushed = push_image(world.context())
    assert (pushed.image, pushed.reference, pushed.digest) == (tag, reference, "sha256:digest")
    assert reference not in world.engine.images

    other = World(config=CONFIG)
    built = world.engine.images[tag]
    labels = prepare(other.context()).plan.labels
    other.engine.shared[reference] = replace(
        built, labels=labels, digests=("registry.example/team/workstation@sha256:1",)
    )
    pulled = pull_image(other.context())
    assert (pulled.changed, pulled.image) == (True, tag)
    assert other.workspace.lock_file is not None  # by which the image is this folder's
    assert not pull_image(other.context()).changed
    assert other.engine.acts.count(f"ask for {reference}") == 1


def test_who_waited_for_another_folder_that_pulled_the_image_takes_that() -> None:
    world, tag, reference, image = make_world()
    world.engine.shared[reference] = image
    world.sources.before_alone = lambda: world.engine.images.update({tag: image})
    assert build(world) is Way.PULLED
    assert f"ask for {reference}" not in world.engine.acts
    assert world.warnings == [f"waiting for process 7 of me, which moves {tag}"]


def test_a_name_in_the_registry_that_a_person_gave_an_image_stays() -> None:
    world, _, reference, image = make_world()
    build(world)
    world.engine.images[reference] = image
    push_image(world.context())
    assert reference in world.engine.images


def test_what_cannot_be_pushed_or_pulled_says_what_to_do() -> None:
    world, tag, reference, _ = make_world()
    with pytest.raises(EngineError, match=f"the engine has no {tag}"):
        push_image(world.context())
    with pytest.raises(EngineError, match=f"there is no {reference}"):
        pull_image(world.context())
    for act in (push_image, pull_image):
        with pytest.raises(ConfigError, match="no registry is set"):
            act(World().context())
