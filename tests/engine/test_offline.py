"""What one machine keeps, another one without a network builds from: the same layers, byte for byte."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.addresses import find_gateway
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.second_engine import SecondEngine, second_engine
from tests.engine.test_two_engines import HEADLESS, LOCK, image_of, lock_and_build

DESKTOP = "base: debian-12\n"


def offline(workstation: Workstation, where: SecondEngine, *words: str) -> subprocess.CompletedProcess[str]:
    """`devbox` itself has no network there either."""
    argv = [*where.inside, *workstation.argv(*words)]
    environment = {**workstation.environment, "DOCKER_HOST": where.host}
    return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)


def follow_offline(first: Workstation, other: Workstation, where: SecondEngine) -> str:
    """The image that is built there by the lock of the first one."""
    shutil.copy(first.folder / LOCK, other.folder / LOCK)
    done = offline(other, where, "build", "--offline")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert (other.folder / LOCK).read_bytes() == (first.folder / LOCK).read_bytes()
    return image_of(first)


def assert_same(engine: Engine, where: SecondEngine, image: str) -> None:
    here, there = engine.inspect_image(image), connect_engine({"DOCKER_HOST": where.host}).inspect_image(image)
    assert here["RootFS"]["Layers"] == there["RootFS"]["Layers"]
    assert here["Config"] == there["Config"]


@contextmanager
def listener(address: str) -> Iterator[int]:
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


def assert_cut(where: SecondEngine, engine: Engine, image: str) -> None:
    """A door that opens here is none for a program there, nor for a container of that engine."""
    address = find_gateway(docker.APIClient(base_url=engine.host.url))
    with listener(address) as port:
        knock = ["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
        assert subprocess.run(knock, capture_output=True, check=False).returncode == 0
        outside = subprocess.run([*where.inside, *knock], capture_output=True, text=True, check=False)
        assert "unreachable" in outside.stderr
        api = docker.APIClient(base_url=where.host)
        made = api.create_container(image, command=knock, entrypoint=[])["Id"]
        try:
            api.start(made)
            assert api.wait(made)["StatusCode"] != 0
            assert b"unreachable" in api.logs(made) or b"No route" in api.logs(made)
        finally:
            api.remove_container(made, force=True)
            api.close()


@pytest.mark.slow
def test_without_a_network_the_same_layers_are_built_from_what_is_kept(
    new_workstation: NewWorkstation, engine: Engine, tmp_path: Path
) -> None:
    first, other = lock_and_build(new_workstation), new_workstation("there", HEADLESS)
    first.ok("fetch")
    assert "kept already" in first.ok("fetch")
    with second_engine(tmp_path / "data", cut=True) as second:
        done = offline(other, second, "build", "--offline")
        assert (done.returncode, "devbox lock" in done.stderr) == (3, True), done.stderr
        image = follow_offline(first, other, second)
        assert_same(engine, second, image)
        assert_cut(second, engine, image)


@pytest.mark.long  # the whole desktop, a minute and a half
def test_the_desktops_packages_come_in_the_same_order_too(
    new_workstation: NewWorkstation, engine: Engine, tmp_path: Path
) -> None:
    """apt orders an installation by all packages that it knows of, and those of a mirror are more."""
    first, other = lock_and_build(new_workstation, DESKTOP), new_workstation("there", DESKTOP)
    first.ok("fetch")
    with second_engine(tmp_path / "data", cut=True) as second:
        assert_same(engine, second, follow_offline(first, other, second))


@pytest.mark.long  # two builds without a cache
def test_two_builds_at_once_take_each_the_packages_of_its_own_lock(
    new_workstation: NewWorkstation, tmp_path: Path
) -> None:
    """Both use the caches of one engine, and what is laid out for one has to stay when the other's is."""
    configs = [f"{HEADLESS}apt: [{package}]\n" for package in ("figlet", "sl")]
    workstations = [new_workstation(f"one-{number}", config) for number, config in enumerate(configs)]
    for workstation in workstations:
        workstation.ok("lock")
        workstation.ok("fetch")
    with second_engine(tmp_path / "data", cut=True) as second, ThreadPoolExecutor() as pool:
        builds = [pool.submit(offline, workstation, second, "build", "--offline") for workstation in workstations]
        for build in builds:
            done = build.result()
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        there = connect_engine({"DOCKER_HOST": second.host})
        assert all(there.find_image(image_of(workstation)) for workstation in workstations)
