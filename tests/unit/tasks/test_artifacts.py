"""What the host fetches gets onto the engine once, whoever wants it, and as ours."""

from __future__ import annotations

import pytest

from builder.core.labels import LABEL_ARTIFACT
from builder.errors import EngineError
from builder.tasks.artifacts import bring_node
from builder.tasks.build import build_image
from builder.tasks.prepare import prepare
from tests.unit.tasks.fakes import World, make_image

BASE = "base: debian-12\n"


def build(world: World) -> None:
    context = world.context()
    build_image(context, prepare(context))


def node_of(world: World) -> str:
    (image,) = (image for image in world.engine.imported if image.startswith("devbox/artifact:node-"))
    return image


def test_every_build_copies_from_the_image_that_the_first_imported() -> None:
    world = World(BASE)
    build(world)
    node = node_of(world)
    assert world.engine.images[node].labels == {LABEL_ARTIFACT: "node"}
    world.engine.imported.clear()
    world.config = f"{BASE}apt: [htop]\n"
    build(world)
    assert world.engine.imported == {}
    dockerfiles = [tree["Dockerfile"].data.decode() for tree in world.engine.built.values()]
    assert [f"COPY --from={node} /artifacts/node/ /" in text for text in dockerfiles] == [True, True]


def test_another_version_is_another_image() -> None:
    world = World(BASE)
    build(world)
    before = node_of(world)
    world.engine.imported.clear()
    world.config = f'{BASE}tools: {{node: "20"}}\n'
    build(world)
    assert node_of(world) != before


def test_what_another_one_imported_while_we_waited_is_taken() -> None:
    world = World(BASE)
    build(world)
    node = node_of(world)
    taken = world.engine.images.pop(node)
    world.engine.imported.clear()
    world.sources.before_alone = lambda: world.engine.images.update({node: taken})
    context = world.context()
    bring_node(context, prepare(context).resolved)
    assert world.engine.imported == {}


def test_one_that_is_there_waits_for_nobody() -> None:
    """Who holds the lock may be sending another version, to another engine."""
    world = World(BASE)
    build(world)
    waits: list[str] = []
    world.sources.before_alone = lambda: waits.append("waited")
    context = world.context()
    bring_node(context, prepare(context).resolved)
    assert waits == []


def test_an_image_of_somebody_else_is_not_copied_from() -> None:
    world = World(BASE)
    build(world)
    node = node_of(world)
    world.engine.images[node] = make_image(node, {})
    world.config = f"{BASE}apt: [htop]\n"
    with pytest.raises(EngineError, match="was not made by devbox") as caught:
        build(world)
    assert node in (caught.value.hint or "")
