"""Each fault of the table, made for real: what is said, how it ends, how long it takes, what stays and what comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from _pytest.mark import ParameterSet

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.conftest import NewWorkstation, make_factory
from tests.engine.faults.model import KILLED, Fault
from tests.engine.faults.of_second_engine import DISK_MB, SECOND_ENGINE
from tests.engine.faults.page import Seconds
from tests.engine.faults.scene import CONFIG, Scene, Told
from tests.engine.faults.snapshot import Observer, Snapshot, differences
from tests.engine.faults.table import HERE
from tests.engine.second_engine import copy_bases, copy_image, second_engine, small_disk

DATA = "mkdir -p ~/kept ~/projects/mine && echo precious > ~/projects/mine/notes && seq 2000 > ~/kept/numbers"
# What a verb that stopped in the middle of an act may have changed, but only of its own workstation.
UNFINISHED = ("containers", "networks", "workstation")


@pytest.fixture(scope="module")
def scene(
    session_workstations: NewWorkstation,
    engine: Engine,
    environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    with open_scene(session_workstations, engine, environment, tmp_path_factory.mktemp("f")) as scene:
        yield scene


@pytest.fixture(scope="module")
def own_scene(
    scene: Scene, engine: Engine, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """The same on an engine that may be killed, with a disk that may run full."""
    folder, place = tmp_path_factory.mktemp("o"), tmp_path_factory.mktemp("d") / "disk"
    image = scene.api.inspect_container(scene.container_name)["Config"]["Image"]
    with small_disk(place, DISK_MB) as disk, second_engine(disk / "data") as second:
        copy_bases(engine, second.host, "debian-12")
        copy_image(image, engine.host.url, second.host)
        there = {**environment, "DOCKER_HOST": second.host}
        for make in make_factory(folder, there):
            with open_scene(make, connect_engine(there), there, folder) as own:
                own.second = second
                yield own


@contextmanager
def open_scene(make: NewWorkstation, engine: Engine, environment: Mapping[str, str], folder: Path) -> Iterator[Scene]:
    """Two small workstations with data. Before and after all faults all is the same."""
    api: Any = docker.APIClient(base_url=engine.host.url)  # its types know half of it
    subject, bystander = (make(name, CONFIG) for name in ("subject", "bystander"))
    for workstation in (bystander, subject):
        workstation.up()
        workstation.inside("sh", "-c", DATA)
    folders = (
        subject.folder,
        bystander.folder,
        # The cache of the session on the other engine may lie beside it.
        *(Path(environment[name], "devbox") for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")),
    )
    scene = Scene(
        subject=subject,
        bystander=bystander,
        engine=engine,
        api=api,
        folder=folder,
        observer=Observer(api, engine, folders),
    )
    scene.whole = scene.look()
    yield scene
    assert differences(scene.whole, scene.look(), but=["workstation"]) == {}
    api.close()


def cases(faults: Iterable[Fault]) -> list[ParameterSet]:
    return [
        pytest.param(fault, id=fault.id, marks=[getattr(pytest.mark, fault.pace)] if fault.pace else [])
        for fault in faults
    ]


@pytest.mark.parametrize("fault", cases(HERE))
def test_fault(fault: Fault, scene: Scene, reliability: Seconds) -> None:
    meet(fault, scene, reliability)


@pytest.mark.parametrize("fault", cases(SECOND_ENGINE))
def test_fault_of_an_engine_of_its_own(fault: Fault, own_scene: Scene, reliability: Seconds) -> None:
    meet(fault, own_scene, reliability)


def meet(fault: Fault, scene: Scene, reliability: Seconds) -> None:
    before = scene.prepare(fault.start)

    with fault.make(scene) as trouble:
        told = scene.run(fault.verb, trouble)
        stopped = scene.look() if fault.again else None
        if fault.again:
            scene.subject.up()

    assert_told(fault, told)
    if fault.stops:
        assert_stopped(fault, before, stopped or scene.look(), scene)
    scene.subject.up()
    scene.remove_images()
    after = scene.look()
    assert scene.whole is not None
    assert differences(scene.whole, after, but=["workstation"]) == {}
    scene.left = after
    reliability.note(fault, told.seconds)


def assert_stopped(fault: Fault, before: Snapshot, now: Snapshot, scene: Scene) -> None:
    """Where it broke off in an act, the container and the network of the workstation may be there or not, and nothing
    else; what was killed may leave a file that is half written."""
    but = (*(UNFINISHED if fault.resumes else ()), *(["temporary"] if fault.code == KILLED else []))
    assert differences(before, now, but=but) == {}
    ours = (f"/{scene.container_name} ", f"/{scene.container_name}.next ", f"{scene.name}_default")
    changed = (before.containers ^ now.containers) | (before.networks ^ now.networks)
    assert [name for name in sorted(changed) if not name.startswith(ours)] == []


def assert_told(fault: Fault, told: Told) -> None:
    said = f"{fault.id}: {told.code}\n{told.stdout}\n{told.stderr}"
    assert told.code == fault.code, said
    assert "Traceback" not in told.stderr, said
    assert told.seconds <= fault.seconds, f"{told.seconds:.1f} s\n{said}"
    if fault.code == KILLED:
        return
    spoken = told.stderr if fault.fails or fault.code == 130 else told.stdout + told.stderr
    assert fault.says in spoken, said
    if fault.hint:
        assert re.search(r"^error: ", told.stderr, re.MULTILINE), said
        hints = re.findall(r"^hint: (.*)", told.stderr, re.MULTILINE)
        assert [hint for hint in hints if fault.hint in hint], said
