"""What is built twice, from nothing and in different folders, has the same layers, byte for byte; and so has what went
through a file."""

from __future__ import annotations

import json
import os
import re

import pytest

from builder.adapters.engine.client import Engine
from builder.core.tree import MTIME
from tests.engine.conftest import NewWorkstation, Workstation

# Every kind of step, each as small as there is one.
SMALL = "profile: headless\ntools: {claude-code: false}\nnpm: [is-number@7.0.0]\napt: [tree, figlet]\n"
DAY = MTIME // 86_400


def build(new_workstation: NewWorkstation, name: str, config: str, **environment: str) -> str:
    """The tag of an image for which nothing was taken from a cache of layers."""
    workstation = new_workstation(name, config)
    tag = f"devbox-test/{name}:{os.getpid()}"
    done = workstation.run("build", "--no-cache", "--tag", tag, environment=environment)
    assert done.returncode == 0, done.stderr
    return tag


def refuse_difference(new_workstation: NewWorkstation, one: str, other: str) -> None:
    done = new_workstation("compare", "").run("compare", one, other, "--json")
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    differ = json.dumps([found["files"][:20], found["layers"]], indent=1)  # all of it: pytest shortens what it shows
    assert (found["level"], done.returncode) == ("R3", 0), differ


@pytest.mark.long  # two builds from nothing, three minutes
def test_two_builds_of_every_kind_of_step_have_the_same_layers(new_workstation: NewWorkstation, engine: Engine) -> None:
    one = build(new_workstation, "once", SMALL)
    other = build(new_workstation, "twice", SMALL)
    refuse_difference(new_workstation, one, other)
    # Two builds of one day cannot tell whether the day is in it.
    image = engine.read_image(one, lambda path: path == "etc/shadow")
    days = {
        day
        for layer in image.layers[1:]
        for entry in layer.entries
        if entry.path == "etc/shadow"
        for day in re.findall(r"(?m)^[^:]*:[^:]*:(\d+):", entry.data.decode())
    }
    assert days == {str(DAY)}
    check_file(new_workstation("carried", ""), engine, one)


def check_file(workstation: Workstation, engine: Engine, tag: str) -> None:
    """Save, remove, load: the same image is there again under its tag."""
    before = engine.find_image(tag)
    assert before is not None
    path = workstation.folder / "image.tar.zst"
    workstation.ok("save", str(path), "--image", tag)
    assert path.stat().st_size < before.size / 2
    engine.remove_image(tag)
    assert workstation.ok("load", str(path)) == f"{tag} is there\n"
    assert engine.find_image(tag) == before
    assert workstation.run("compare", str(path), tag).returncode == 0


@pytest.mark.long
def test_two_builds_of_the_default_workstation_have_the_same_layers(new_workstation: NewWorkstation) -> None:
    one = build(new_workstation, "once", "")
    other = build(new_workstation, "twice", "")
    refuse_difference(new_workstation, one, other)
