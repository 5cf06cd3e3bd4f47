"""Python projects in the pipeline: asked of the world once, looked at each time, and what a build takes in."""

from __future__ import annotations

from builder.model import RenderedFile, State
from builder.tasks.build import build_image
from builder.tasks.demand import Demand
from builder.tasks.prepare import prepare
from tests.unit.tasks.fakes import FakeSources, World

GIT = "base: debian-12\nframework: {git: 'https://example.org/tools.git', rev: v1}\n"
ROOTFS = {"init/usr/lib/devbox/init": RenderedFile(data=b"#!/bin/sh\n", executable=True)}


def make_world(config: str) -> World:
    return World(config, rootfs=dict(ROOTFS))


def test_a_revision_is_asked_for_once_and_remembered() -> None:
    world = make_world(GIT)
    first = prepare(world.context())
    world.sources.commits["v1"] = "d" * 40  # the tag was moved
    assert prepare(world.context()).plan.id == first.plan.id
    assert world.sources.asked.count("https://example.org/tools.git v1") == 1
    assert prepare(world.context(), demand=Demand(again=True)).plan.id != first.plan.id


def test_another_revision_is_another_question() -> None:
    world = make_world(GIT)
    prepare(world.context())
    world.config = GIT.replace("v1", "v2")
    prepare(world.context())
    assert "https://example.org/tools.git v2" in world.sources.asked


def test_a_changed_folder_is_seen_without_a_question() -> None:
    world = make_world("base: debian-12\nframework: {path: ./tools}\n")
    first = prepare(world.context())
    world.sources.project = b"[project]\nname = 'other'"
    assert prepare(world.context()).plan.id != first.plan.id
    assert first.image_tree["projects/framework-path/pyproject.toml"].data == b"[project]"


def test_a_plan_without_questions_takes_the_revision_as_it_is_written() -> None:
    world = make_world(GIT)
    prepared = prepare(world.context(), ask=False)
    assert prepared.projects["framework:git"].identity == "v1"
    assert (world.sources.asked, world.workspace.state) == ([], State())


def test_what_the_host_fetches_reaches_the_build_as_a_folder() -> None:
    for config, folder in (
        (GIT, "c" * 40),
        ("base: debian-12\nframework: {wheel: ./x-1-py3-none-any.whl}\n", "d" * 64),
    ):
        world = make_world(config)
        world.sources = FakeSources()
        build_image(world.context(), prepare(world.context()))
        assert str(world.engine.folders["projects/framework-" + ("git" if "git" in config else "wheel")]).endswith(
            folder
        )
