"""The disk of another machine's engine runs full: it is that machine's, and the message says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.conftest import Workstation
from tests.engine.second_engine import copy_bases, small_disk
from tests.engine.ssh_host import ssh_host

LEFT = 300_000  # bytes


@pytest.mark.long  # half a minute
def test_a_full_disk_over_there_is_named_by_its_machine_and_nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, environment: Mapping[str, str]
) -> None:
    place = tmp_path_factory.mktemp("f")
    with small_disk(place / "disk", 900) as disk, ssh_host(place / "h", data=disk / "data") as machine:
        folder = place / "full"
        folder.mkdir()
        there = Workstation(folder=folder, environment={**environment, **machine.person()})
        there.write(f"name: full\nprofile: headless\nbase: debian-12\nhost: {machine.url}\n")
        copy_bases(engine, machine.engine.host, "debian-12")
        with (disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(disk).free - LEFT)
        try:
            done = there.run("up")
        finally:
            there.run("tunnel", "stop")
        assert done.returncode == 5, done.stderr
        assert "no space left on device" in done.stderr
        assert f"hint: free some disk on {machine.url}" in done.stderr
        left = connect_engine({"DOCKER_HOST": machine.engine.host})
        assert (left.find_services(), left.volumes("full")) == ((), ())
