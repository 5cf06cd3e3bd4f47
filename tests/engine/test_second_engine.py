"""An engine of a test's own really is its own, and nothing of it stays: neither after its end nor after a crash."""

from __future__ import annotations

import errno
import re
import subprocess
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import docker
import pytest

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.second_engine import SecondEngine, copy_image, second_engine, small_disk


def look_at_machine(engine: SecondEngine) -> Mapping[str, list[str]]:
    """What this engine has on this machine. Others that tests use come and go meanwhile."""
    commands = (
        ["ip", "-4", "-oneline", "address"],
        ["iptables", "--wait", "-S"],
        ["iptables", "--wait", "-t", "nat", "-S"],
        ["ps", "-eo", "args"],
        ["cat", "/proc/self/mounts"],
        ["ls", "/run"],
    )
    return {
        " ".join(argv): [line for line in subprocess.check_output(argv, text=True).splitlines() if names(engine, line)]
        for argv in commands
    }


def names(engine: SecondEngine, line: str) -> bool:
    addresses = re.findall(r"(?:\d+\.){3}\d+", line)
    return bool(re.search(rf"\b{engine.name}\b", line)) or any(ip_address(item) in engine.network for item in addresses)


def test_it_is_another_engine_and_leaves_nothing_even_after_a_crash(
    engine: Engine, base_image: str, tmp_path: Path
) -> None:
    with second_engine(tmp_path / "data") as second:
        copy_image(base_image, engine.host.url, second.host)
        own = connect_engine({"DOCKER_HOST": second.host})
        assert own.find_image(base_image)
        assert own.find_workstations() == ()
        with docker.APIClient(base_url=second.host) as api:
            api.create_network("beside")
            ports: dict[int | str, object] = {"8000/tcp": ("127.0.0.1", None)}
            host = api.create_host_config(port_bindings=ports, network_mode="beside")
            made = api.create_container(
                base_image, ["sleep", "600"], ports=["8000/tcp"], host_config=host, stop_signal="SIGKILL"
            )["Id"]
            api.start(made)
            second.kill()
            second.start()
            assert [item["Id"] for item in api.containers(all=True)] == [made]
            api.start(made)
            assert api.inspect_container(made)["State"]["Running"]
        second.kill()
        assert all(look_at_machine(second).values())
    assert not any(look_at_machine(second).values())
    assert list((tmp_path / "data").iterdir()) == []


def test_a_second_start_leaves_the_bridge_of_the_first_engine(tmp_path: Path) -> None:
    before = subprocess.check_output(["ip", "-oneline", "link", "show", "docker0"], text=True).split(":")[0]
    with second_engine(tmp_path / "data") as second:
        for _ in range(2):
            second.stop()
            second.start()
    assert subprocess.check_output(["ip", "-oneline", "link", "show", "docker0"], text=True).split(":")[0] == before


def test_a_small_disk_runs_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        with pytest.raises(OSError, match="No space left") as caught, (disk / "file").open("wb") as file:
            file.write(bytes(32 << 20))
        assert caught.value.errno == errno.ENOSPC
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk"]
