"""Two engines with data of their own, that build by one lock: the same layers, byte for byte."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.second_engine import copy_bases, second_engine

# What other tests build, too: then only the second engine has to.
HEADLESS = "profile: headless\nbase: debian-12\nports: {dev: false}\n"
LOCK = "devbox-lock.json"


def lock_and_build(new_workstation: NewWorkstation, config: str = HEADLESS) -> Workstation:
    first = new_workstation("here", config)
    first.ok("lock")
    first.ok("build", "--frozen")
    return first


def follow(first: Workstation, new_workstation: NewWorkstation, host: str) -> Workstation:
    """What the first one would commit, on another engine, built there."""
    other = new_workstation("there", HEADLESS)
    shutil.copy(first.folder / LOCK, other.folder / LOCK)
    other = replace(other, environment={**other.environment, "DOCKER_HOST": host})
    other.ok("build", "--frozen")
    assert (other.folder / LOCK).read_bytes() == (first.folder / LOCK).read_bytes()
    return other


def image_of(workstation: Workstation) -> str:
    return str(json.loads(workstation.ok("plan", "--json"))["image"])


def test_what_is_built_on_two_engines_has_the_same_layers(
    new_workstation: NewWorkstation, engine: Engine, tmp_path: Path
) -> None:
    first = lock_and_build(new_workstation)
    with second_engine(tmp_path / "data") as second:
        copy_bases(engine, second.host)  # to bootstrap one takes most of a minute; the long test does
        other = follow(first, new_workstation, second.host)
        image = image_of(first)
        assert image_of(other) == image
        here, there = engine.inspect_image(image), connect_engine({"DOCKER_HOST": second.host}).inspect_image(image)
    assert here["RootFS"]["Layers"] == there["RootFS"]["Layers"]
    assert len(here["RootFS"]["Layers"]) > 3
    assert here["Config"] == there["Config"]


@pytest.mark.long  # a base and an image from nothing, and two images read: minutes
def test_the_same_layers_come_also_of_a_base_that_was_bootstrapped_there(
    new_workstation: NewWorkstation, tmp_path: Path
) -> None:
    first = lock_and_build(new_workstation)
    carried = tmp_path / "there.tar.zst"
    with second_engine(tmp_path / "data") as second:
        follow(first, new_workstation, second.host).ok("save", str(carried))
    done = first.run("compare", str(carried), "--json")
    found = json.loads(done.stdout)
    assert (found["level"], found["files"][:20], done.returncode) == ("R3", [], 0), found["layers"]
