"""`up` after `down` or `stop`, with nothing changed: the same workstation, without a plan. Headless, to be quick."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation

pytestmark = pytest.mark.engine_26

PROJECT = "again"
CONFIG = f"name: {PROJECT}\nprofile: headless\n"
IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


@pytest.fixture
def subject(new_workstation: NewWorkstation) -> Iterator[Workstation]:
    """With a workstation that is up."""
    workstation = new_workstation(PROJECT, CONFIG)
    workstation.up()
    yield workstation
    workstation.run("down", "--volumes", "--no-backup", "--yes")


def up(workstation: Workstation, *options: str) -> tuple[bool, str]:
    """Whether it went without a plan, and what it printed."""
    done = workstation.run("up", *options, environment=IMPORTS)
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert ("builder.tasks.prepare" in imported) == ("pydantic" in imported)
    return "builder.tasks.prepare" not in imported, done.stdout


def describe(engine: Engine) -> Mapping[str, Any]:
    """What a container is, without what each has of its own."""
    (container,) = engine.find_containers(PROJECT)
    told = engine.inspect(container.id)
    del told["Config"]["Image"]  # by name or by id
    mounts = sorted((item["Type"], item["Source"], item["Destination"], item["RW"]) for item in told["Mounts"])
    return {"Config": told["Config"], "HostConfig": told["HostConfig"], "Image": told["Image"], "Mounts": mounts}


def history(workstation: Workstation) -> dict[str, Any]:
    (file,) = Path(workstation.environment["XDG_STATE_HOME"]).glob(f"devbox/{PROJECT}-*/history.json")
    told: dict[str, Any] = json.loads(file.read_text())["history"]
    return told


def test_what_was_taken_down_comes_back_as_it_was_without_a_plan(subject: Workstation, engine: Engine) -> None:
    subject.inside("sh", "-c", "echo kept > ~/projects/file")
    before, state, past = describe(engine), (subject.folder / ".workstation/state.json").read_text(), history(subject)
    subject.ok("down")
    short, said = up(subject)
    assert short
    assert said.startswith(f"{PROJECT} is ready, ")
    assert subject.inside("cat", "projects/file").strip() == "kept"
    assert describe(engine) == before
    assert (subject.folder / ".workstation/state.json").read_text() == state
    made = engine.find_containers(PROJECT)[0].created
    assert history(subject) == {**past, "current": {**past["current"], "made": made}}
    assert subject.run("rollback").returncode != 0  # there is nothing to go back to, as before
    assert "nothing to do" in subject.ok("up")


def test_what_was_stopped_is_started_without_a_plan(subject: Workstation, engine: Engine) -> None:
    (before,) = engine.find_containers(PROJECT)
    subject.ok("stop")
    short, said = up(subject, "--json")
    assert short
    assert json.loads(said)["state"] == "running"
    assert engine.find_containers(PROJECT)[0].id == before.id


def test_a_taken_port_a_changed_file_and_an_option_go_the_long_way(subject: Workstation) -> None:
    port = subject.port("ssh")
    subject.ok("down")
    with socket.create_server(("127.0.0.1", port)):
        assert not up(subject)[0]
        assert subject.port("ssh") != port
    subject.ok("down")
    assert up(subject)[0]
    subject.ok("stop")
    assert not up(subject, "--recreate")[0]
    subject.ok("down")
    subject.write(f"{CONFIG}environment: {{CHANGED: 'yes'}}\n")
    assert not up(subject)[0]
    assert subject.inside("printenv", "CHANGED").strip() == "yes"
    subject.ok("down")
    assert up(subject)[0]
    assert subject.inside("printenv", "CHANGED").strip() == "yes"
