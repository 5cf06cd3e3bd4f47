"""When an image is built, and under which name."""

from __future__ import annotations

from builder.tasks.build import Way, build_image
from builder.tasks.prepare import prepare
from tests.unit.tasks.fakes import World


def test_an_image_that_is_there_is_built_again_only_when_told() -> None:
    world = World()
    prepared = prepare(world.context())
    ways = [build_image(world.context(), prepared, fresh=fresh) for fresh in (False, False, True)]
    assert ways == [Way.BUILT, Way.HERE, Way.BUILT]
    assert world.engine.acts.count("build") == 2
    assert world.engine.fresh == [prepared.plan.image]
    assert list(world.engine.built) == [prepared.plan.image]


def test_a_tag_names_an_image_beside_that_of_the_workstation() -> None:
    world = World()
    prepared = prepare(world.context())
    assert build_image(world.context(), prepared, tag="other:1") is Way.BUILT
    assert list(world.engine.built) == ["other:1"]
    assert build_image(world.context(), prepared) is Way.BUILT
    assert list(world.engine.built) == ["other:1", prepared.plan.image]
