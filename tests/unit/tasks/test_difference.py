"""`devbox diff` and `devbox outdated` from a workspace: what they compare, and that they change nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from builder.cli.changes import describe_difference
from builder.core.lock_file import dump_lock
from builder.errors import LockError
from builder.tasks.demand import Demand
from builder.tasks.difference import find_difference
from builder.tasks.outdated import ask_outdated
from builder.tasks.relock import write_lock
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import READY, World, make_image

BASE = "base: debian-12\n"


@pytest.fixture
def world() -> World:
    world = World(f"{BASE}apt: [htop]\n")
    world.engine.probe = READY
    plan = bring_up(world.context(), fingerprint="f").plan
    world.engine.images[f"sha256:{plan.image}"] = make_image(plan.image, plan.labels)
    world.engine.acts.clear()
    return world


def words(world: World) -> list[str]:
    return describe_difference(find_difference(world.context()))


def test_what_runs_is_what_is_wanted(world: World) -> None:
    assert find_difference(world.context()).empty
    assert world.engine.acts == []


def test_an_added_package_is_told_with_the_lock_that_does_not_have_it(world: World) -> None:
    before = world.workspace.lock_file
    world.config = f"{BASE}apt: [htop, jq]\n"
    found = find_difference(world.context())
    assert found.lock == ("the package jq is new",)
    assert found.image is not None
    assert found.image.why[0] == "apt:jq is new: jq"
    assert "base" in found.image.stays
    assert (world.workspace.lock_file, world.engine.acts) == (before, [])


def test_one_version_in_the_lock_is_named_with_the_step_that_runs_for_it(world: World) -> None:
    packages = tuple(
        replace(package, version="2.0") if package.name == "git" else package for package in world.lock.apt
    )
    world.workspace.lock_file = dump_lock(replace(world.lock, apt=packages))
    told = words(world)
    assert re.fullmatch(r"the image is devbox/\S+ in place of \S+, because", told[0])
    assert "  apt: runs again, for other versions of its packages" in told
    assert "  git 1.0 -> 2.0" in told


def test_a_setting_of_the_container_leaves_the_image_as_it_is(world: World) -> None:
    world.config = f"{BASE}apt: [htop]\nenvironment: {{EDITOR: vim}}\n"
    found = find_difference(world.context())
    assert found.image is None
    assert words(world) == ["the container is made anew, its volumes are kept, because", "  environment: EDITOR is new"]


def test_another_base_is_told_though_the_lock_has_another_one(world: World) -> None:
    world.config = "base: ubuntu-22.04\napt: [htop]\n"
    found = find_difference(world.context())
    assert found.image is not None
    assert "base: debian-12 -> ubuntu-22.04" in found.image.why


def test_nothing_runs_and_nothing_is_locked_is_said() -> None:
    found = find_difference(World(BASE).context())
    assert found.lock == ("there is no devbox-lock.json yet",)
    assert found.container == ("there is no workstation yet",)


def test_what_is_newer_is_asked_and_nothing_is_written(world: World) -> None:
    world.engine.mirror.newest = {"git": "2.0"}
    world.engine.newest_of_npm = "3.0"
    before = (world.workspace.lock_file, dict(world.memo.kept))
    found = [(item.kind, item.name, item.locked, item.update, item.newest) for item in ask_outdated(world.context())]
    assert found == [("deb", "git", "1.0", "2.0", ""), ("npm", "@anthropic-ai/claude-code", "2.0.76", "2.0.76", "3.0")]
    assert (world.workspace.lock_file, dict(world.memo.kept)) == before


def test_npm_is_asked_once_what_all_need_and_once_for_the_newest(world: World) -> None:
    world.engine.newest_of_npm = "3.0"
    world.engine.closure_questions.clear()
    ask_outdated(world.context())
    questions = [tree["Dockerfile"].data.decode() for tree in world.engine.closure_questions.values()]
    assert ["--newest" in text for text in questions if "npm-ask" in text] == [False, True]


def test_without_a_lock_there_is_nothing_to_be_newer_than() -> None:
    with pytest.raises(LockError, match="no devbox-lock"):
        ask_outdated(World(BASE).context())


def test_a_lock_that_does_not_fit_is_said_before_the_table() -> None:
    world = World(BASE)
    write_lock(world.context(), Demand())
    world.config = f"{BASE}apt: [jq]\n"
    world.engine.newest_of_npm = "2.0.76"
    ask_outdated(world.context())
    assert any("does not fit devbox.yaml any more: the package jq is new" in note for note in world.warnings)
