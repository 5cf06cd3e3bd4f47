"""`sbom`: which image it reads, and what it says was asked for."""

from __future__ import annotations

import pytest

from builder.errors import EngineError
from builder.model import TaskEnded
from builder.tasks.prepare import prepare
from builder.tasks.sbom import read_bill
from tests.unit.core.image_files import ASKED, IMAGE, make_files
from tests.unit.tasks.fakes import FakeEngine, FakeSources, World, make_container, make_image


def world(labels: dict[str, str] | None = None) -> World:
    """A running workstation whose image is on the engine."""
    container = make_container(image="devbox/workstation:870f", image_id=IMAGE.id, labels=labels or ASKED)
    images = {IMAGE.id: IMAGE, "devbox/workstation:870f": IMAGE}
    return World(engine=FakeEngine(containers={"my-app": container}, images=images, files=make_files()))


def test_the_image_is_the_one_that_the_workstation_runs() -> None:
    ours = world()
    bill = read_bill(ours.context(), "my-app", None)
    assert ours.engine.acts == [f"read {IMAGE.id}"]
    assert (bill.image, bill.image_id, bill.created) == ("devbox/workstation:870f", IMAGE.id, IMAGE.created)
    assert [package.name for package in bill.packages if package.kind == "npm"] == ["@scope/right", "left"]
    (ended,) = ours.told(TaskEnded)
    assert ended.text == "9 packages and 8 other files in devbox/workstation:870f"


def test_substitutions_come_from_the_container_and_nothing_else_of_it_does() -> None:
    bill = read_bill(world().context(), "my-app", None)
    assert [str(item) for item in bill.substitutions] == [
        "base: debian-12 in place of ubuntu-22.04 (it cannot be pulled)"
    ]
    assert bill.facts["dev.devbox.requested-base"] == "ubuntu-22.04"
    assert "dev.devbox.workspace" not in bill.facts  # a path of this machine


def test_what_was_built_and_not_started_is_read_with_what_the_plan_had_to_replace() -> None:
    sources = FakeSources(no_bootstrap={"ubuntu-22.04": "no mirror of Ubuntu"})
    built = World(engine=FakeEngine(pullable=("debian:12-slim",), files=make_files()), sources=sources)
    plan = prepare(built.context()).plan
    built.engine.images[plan.image] = make_image(plan.image)
    bill = read_bill(built.context(), "my-app", None)
    assert bill.image == plan.image
    assert bill.substitutions == plan.substitutions != ()


def test_without_an_image_the_way_to_one_is_named_and_nothing_is_asked_of_the_network() -> None:
    empty = World()
    with pytest.raises(EngineError, match="there is no image for my-app yet") as caught:
        read_bill(empty.context(), "my-app", None)
    assert caught.value.hint == "`devbox build` makes it, `devbox up` starts it too"
    assert caught.value.exit_code == 5
    assert (empty.engine.acts, empty.sources.asked) == ([], [])


def test_an_image_that_was_built_and_is_gone_is_told_like_none() -> None:
    gone = World()
    prepare(gone.context())
    with pytest.raises(EngineError, match="there is no image for my-app yet"):
        read_bill(gone.context(), "my-app", None)


def test_an_image_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineError, match="the engine has no image nope:1"):
        read_bill(world().context(), "my-app", "nope:1")


def test_a_named_image_that_this_folder_runs_keeps_its_substitutions() -> None:
    ours = world()
    assert read_bill(ours.context(), "my-app", "devbox/workstation:870f").substitutions
    assert ours.warnings == []


def test_a_named_image_of_somebody_else_says_that_its_substitutions_are_not_known() -> None:
    other = World(engine=FakeEngine(images={"devbox/workstation:870f": IMAGE}, files=make_files()))
    assert read_bill(other.context(), "my-app", "devbox/workstation:870f").substitutions == ()
    assert "only the folder that it was made for knows" in other.warnings[0]


def test_the_workstation_of_another_folder_is_not_taken_for_ours() -> None:
    with pytest.raises(EngineError, match="belongs to another folder"):
        read_bill(world({"dev.devbox.workspace": "/somewhere/else"}).context(), "my-app", None)
