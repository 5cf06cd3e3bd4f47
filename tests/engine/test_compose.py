"""Docker Compose and devbox start the same workstation, and each can look after what the other started."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.adapters.engine.client import Engine
from builder.core.labels import LABEL_SPEC
from tests.engine.boxes import PROBE
from tests.engine.composes import fetch_compose_2, find_compose_5
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.inspect_diff import comparable, differences
from tests.engine.pictures import assert_desktop

# What is rendered differently is put in here on purpose: limits, a mount, a variable that Compose could expand.
CONFIG = """\
name: composed
environment: {DOLLARS: "$HOME costs $$5 ${NOT}", QUOTES: "it's \\"quoted\\""}
mounts: [{source: ./data, target: /srv/data, read_only: true}]
resources: {memory: 2g, cpus: 1.5, shm: 256m}
ports: {dev: [3000, "18080:8080"]}
"""


class Compose:
    """One Compose program, run in a workspace."""

    def __init__(self, program: Path, workstation: Workstation) -> None:
        self.program, self.workstation = program, workstation

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.program), *arguments],
            cwd=self.workstation.folder,
            env=dict(self.workstation.environment),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"compose {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def programs() -> Mapping[str, Path]:
    return {"compose-2": fetch_compose_2(), "compose-5": find_compose_5()}


@pytest.fixture(scope="module")
def workstation(session_workstations: NewWorkstation) -> Iterator[Workstation]:
    made = session_workstations("composed", CONFIG)
    (made.folder / "data").mkdir()
    yield made
    made.take_away()


@pytest.fixture(params=["compose-2", "compose-5"])
def compose(request: pytest.FixtureRequest, programs: Mapping[str, Path], workstation: Workstation) -> Compose:
    return Compose(programs[request.param], workstation)


def wait_usable(workstation: Workstation, engine: Engine) -> None:
    """As `up` waits. The engine's own health check, which both have alike, looks first after ten seconds."""
    done = engine.run(workstation.container(engine).id, [PROBE, "wait", "--timeout", "60"], timeout_s=70)
    assert done.code == 0, done.stdout


def inspect(workstation: Workstation, engine: Engine) -> Mapping[str, Any]:
    return engine.inspect(workstation.container(engine).id)


def test_versions_are_2_and_5(programs: Mapping[str, Path]) -> None:
    for name, major in (("compose-2", "2."), ("compose-5", "5.")):
        done = subprocess.run(
            [str(programs[name]), "version", "--short"], capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stdout.strip().removeprefix("v").startswith(major)


@pytest.mark.engines
def test_compose_starts_the_same_workstation(compose: Compose, workstation: Workstation, engine: Engine) -> None:
    workstation.up()
    ours = comparable(inspect(workstation, engine))
    network, volumes = _surroundings(engine, ours)
    workstation.ok("down")

    compose("-f", ".workstation/compose.yaml", "up", "-d")

    theirs = comparable(inspect(workstation, engine))
    assert differences(ours, theirs) == []
    assert _surroundings(engine, theirs) == (network, volumes)
    assert "$HOME costs $$5 ${NOT}" in "\n".join(theirs["Config"]["Env"])
    wait_usable(workstation, engine)
    with workstation.login_vnc() as client:
        assert_desktop(client.settle(0.5, 20, tolerance=0.002))
    # And it is ours to go on with: nothing to do, neither now nor ever.
    before = workstation.container(engine).id
    assert "nothing to do" in workstation.up().stdout
    assert workstation.container(engine).id == before
    compose("-f", ".workstation/compose.yaml", "down")
    assert workstation.status()["state"] == "absent"


def _surroundings(engine: Engine, container: Mapping[str, Any]) -> tuple[object, object]:
    networks = container["Networks"]
    volumes = [(mount["Name"], mount["Destination"]) for mount in container["Mounts"] if mount["Type"] == "volume"]
    return sorted(networks), volumes


@pytest.mark.engines
def test_compose_looks_after_what_devbox_started(compose: Compose, workstation: Workstation, engine: Engine) -> None:
    workstation.up()
    volumes = engine.volumes("composed")

    (listed,) = [json.loads(line) for line in compose("-p", "composed", "ps", "--format", "json").splitlines()]
    assert (listed["Name"], listed["Service"], listed["State"]) == ("composed-workstation-1", "workstation", "running")
    assert compose("-p", "composed", "exec", "-T", "workstation", "echo", "inside") == "inside\n"
    assert "workstation-1" in compose("-p", "composed", "logs")
    compose("-p", "composed", "stop")
    assert workstation.status()["state"] == "exited"
    compose("-p", "composed", "start")
    assert workstation.status()["state"] == "running"
    compose("-p", "composed", "down")
    assert workstation.status()["state"] == "absent"
    assert engine.volumes("composed") == volumes


def test_up_of_compose_takes_over_a_container_of_devbox(
    compose: Compose, workstation: Workstation, engine: Engine
) -> None:
    workstation.up()
    spec = workstation.container(engine).labels[LABEL_SPEC]

    compose("-f", ".workstation/compose.yaml", "up", "-d")

    assert workstation.container(engine).labels[LABEL_SPEC] == spec
    wait_usable(workstation, engine)
    workstation.ok("down")
