"""podman in place of Docker: the same workstation, built by buildah. Takes root, and the package podman."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.errors import EngineError
from tests.engine.conftest import Workstation
from tests.engine.second_engine import copy_bases

pytestmark = pytest.mark.long
CONFIG = "profile: headless\nbase: debian-12\napt: [sl]\n"  # a second apt step, whose caches are those of the first


@pytest.fixture(scope="module")
def podman(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a podman with storage of its own, in which the bases of the other engine are."""
    folder = tmp_path_factory.mktemp("podman")
    run = Path(tempfile.mkdtemp(prefix="devbox-podman-", dir="/run"))
    host = f"unix://{run}/podman.sock"
    # podman asks for more than a machine without CAP_SYS_RESOURCE can give.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = int(Path("/proc/sys/kernel/pid_max").read_text())
    limits = f'["nofile={files}:{files}", "nproc={processes}:{processes}"]'
    networks = f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
    (folder / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {limits}\n{networks}")
    (folder / "tmp").mkdir()  # also of the caches of builds
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(
            [
                "podman",
                "--root",
                str(folder / "root"),
                "--runroot",
                str(run / "root"),
                "system",
                "service",
                "-t0",
                host,
            ],
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder / "tmp")},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(
                "podman to answer",
                lambda: answers(host) or None,
                deadline_s=60,
                interval_s=0.1,
                why=(folder / "log").read_text,
            )
            copy_bases(engine, host)
            yield host
        finally:
            service.terminate()
            service.wait(20)
            for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
                if line.split()[1].startswith((f"{folder}/", f"{run}/")):
                    subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
            shutil.rmtree(run)
            shutil.rmtree(folder)


def answers(host: str) -> bool:
    """Its first word of its version takes long: it asks dpkg which packages its programs are of."""
    try:
        connect_engine({"DOCKER_HOST": host})
    except EngineError:
        return False
    return True


@pytest.fixture
def workstation(podman: str, environment: Mapping[str, str], tmp_path: Path) -> Iterator[Workstation]:
    folder = tmp_path / "on-podman"
    folder.mkdir()
    made = Workstation(folder=folder, environment={**environment, "DOCKER_HOST": podman})
    yield made
    made.take_away()


def test_a_workstation_is_built_verified_stopped_started_and_removed(podman: str, workstation: Workstation) -> None:
    workstation.write(CONFIG)
    up = workstation.up()
    assert "✓ apt:sl" in up.stderr

    assert workstation.status()["state"] == "running"
    assert "nothing to do" in workstation.up().stdout
    assert workstation.inside("sh", "-c", "test -x /usr/games/sl && id -un") == "dev\n"
    checks = json.loads(workstation.ok("verify", "--json", "--skip", "timing"))
    assert [item for item in checks["results"] if item["verdict"] == "failed"] == []
    assert "podman" in workstation.run("doctor").stdout
    workstation.ok("stop")
    workstation.ok("start")

    workstation.write(CONFIG.replace("sl", "no-such-package-xyz"))
    failed = workstation.run("up")
    assert failed.returncode == 5
    assert "Unable to locate package no-such-package-xyz" in failed.stderr
    assert "hint: this base has no package of that name" in failed.stderr
    assert workstation.status()["state"] == "running"

    workstation.take_away()
    own = connect_engine({"DOCKER_HOST": podman})
    assert own.find_workstations() == ()
    assert own.volumes("on-podman") == ()
