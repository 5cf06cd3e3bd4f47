"""A killed session of tests: what it made is taken away by the next one, what a living one made is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from builder.adapters.engine.client import Engine
from builder.adapters.engine.spec import PROJECT
from builder.core.labels import LABEL_WORKSPACE
from tests.engine.sessions import FOLDER, living, remove_dead

pytestmark = pytest.mark.engines


@pytest.fixture
def made(engine: Engine, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """{project: session} of two, each with a network and a volume."""
    sdk = docker.APIClient(base_url=engine.host.url, version="1.41")
    sessions = {f"devboxtest{uuid4().hex[:8]}": tmp_path / f"pytest-{number}" for number in (1, 2)}
    for project, session in sessions.items():
        session.mkdir(parents=True)
        labels = {LABEL_WORKSPACE: str(session / FOLDER / "shared"), PROJECT: project}
        sdk.create_network(f"{project}_default", labels=labels)
        sdk.create_volume(f"{project}_home", labels=labels)
    yield sessions
    for project in sessions:
        engine.remove_network(project)
        for volume in engine.volumes(project):
            engine.remove_volume(volume)
    sdk.close()


def test_what_a_killed_session_left_is_taken_away_and_what_a_living_one_has_is_not(
    engine: Engine, made: dict[str, Path], tmp_path: Path
) -> None:
    killed, alive = made
    with living(made[killed]):
        pass
    with living(made[alive]):
        remove_dead(engine, tmp_path)
        assert len(engine.find_parts(alive)) == 2
    assert not engine.find_parts(killed)


def test_a_session_whose_folder_is_gone_is_not_alive(engine: Engine, made: dict[str, Path], tmp_path: Path) -> None:
    for session in made.values():
        session.rmdir()
    remove_dead(engine, tmp_path)
    assert not [part for project in made for part in engine.find_parts(project)]


def test_the_disk_of_a_killed_session_is_unmounted(engine: Engine, tmp_path: Path) -> None:
    session = tmp_path / "pytest-1"
    (disk := session / "disk").mkdir(parents=True)
    subprocess.run(["mount", "--types", "tmpfs", "none", str(disk)], check=True)
    with living(session):
        remove_dead(engine, tmp_path)
        assert disk.is_mount()
    remove_dead(engine, tmp_path)
    assert not disk.is_mount()
