"""Values that are odd, but legal, reach the running workstation byte for byte: data/odd-but-legal.yaml.

One workstation with all of them. They decide only how it runs, so it stands on the image of all other tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from builder.adapters.engine.client import Engine
from builder.adapters.rfb import connect as connect_vnc
from tests.engine.conftest import Workstation, make_factory
from tests.engine.test_ssh import connect as connect_ssh
from tests.engine.test_ssh import own_key

FILE: Final = Path(__file__).parent / "data" / "odd-but-legal.yaml"
TEXT: Final = FILE.read_text(encoding="utf-8")


def as_written(node: yaml.Node | None) -> Any:
    """The document without any interpretation: every scalar is its text."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: as_written(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [as_written(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return node.value


ODD: Final[dict[str, Any]] = as_written(yaml.compose(TEXT, Loader=yaml.SafeLoader))
VARIABLES: Final[dict[str, str]] = ODD["environment"]
MOUNTS: Final[list[dict[str, str]]] = ODD["mounts"]
OTHERS: Final = ("name", "uid", "timezone", "theme", "geometry", "dpi", "bind", "memory", "cpus", "shm", "pids")


@pytest.fixture(scope="module")
def workstation(
    tmp_path_factory: pytest.TempPathFactory, session_folder: Path, environment: Mapping[str, str]
) -> Iterator[Workstation]:
    home = tmp_path_factory.mktemp("home")  # no SSH keys in it: devbox makes one
    for make in make_factory(session_folder, {**environment, "HOME": str(home)}):
        made = make("{{ odd }} 'folder' $x é", TEXT)
        for mount in MOUNTS:
            folder = made.folder / mount["source"]
            folder.mkdir()
            (folder / "here").write_text(mount["source"], encoding="utf-8")
        made.up()
        yield made


@pytest.fixture(scope="module")
def container(workstation: Workstation, engine: Engine) -> str:
    return workstation.container(engine).id


def parse_environment(data: bytes) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in data.decode().split("\0") if entry)


def output(engine: Engine, container: str, *argv: str, user: str = "") -> bytes:
    done = engine.run(container, argv, user=user)
    assert done.code == 0, done.stderr
    return done.stdout


def test_there_are_enough_of_them() -> None:
    assert len(VARIABLES) + len(MOUNTS) + len(OTHERS) >= 60
    assert len(set(VARIABLES.values())) == len(VARIABLES)


@pytest.mark.parametrize("door", ["the first process", "devbox exec", "the desktop", "a session by SSH"])
def test_variables_arrive_unchanged(workstation: Workstation, engine: Engine, container: str, door: str) -> None:
    match door:
        case "the first process":
            told = output(engine, container, "cat", "/proc/1/environ")
        case "devbox exec":
            told = workstation.inside("env", "-0").encode()
        case "the desktop":
            panel = output(engine, container, "pgrep", "-o", "-x", "xfce4-panel").decode().strip()
            told = output(engine, container, "cat", f"/proc/{panel}/environ", user="dev")
        case _:
            with connect_ssh(workstation, own_key(workstation), host=ODD["bind"]) as client:
                told = client.exec_command("env -0", timeout=20)[1].read()
    found = parse_environment(told)
    assert {name: found.get(name) for name in VARIABLES} == VARIABLES


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount["source"])
def test_a_folder_is_mounted_at_the_path_that_was_written(
    engine: Engine, container: str, mount: Mapping[str, str]
) -> None:
    assert output(engine, container, "cat", f"{mount['target']}/here").decode() == mount["source"]
    writable = engine.run(container, ["touch", f"{mount['target']}/new"]).code == 0
    assert writable is (mount["read_only"] == "false")


def test_names_and_numbers_arrive_unchanged(workstation: Workstation, engine: Engine, container: str) -> None:
    inspected = engine.inspect(container)
    host, config = inspected["HostConfig"], inspected["Config"]
    limits = ODD["resources"]
    assert inspected["Name"] == f"/{ODD['name']}-workstation-1"
    assert config["Hostname"] == "0-odd-name"  # a host's name knows no `_`, and ends in a letter or digit
    assert config["Labels"]["dev.devbox.workspace"] == str(workstation.folder)
    assert (host["Memory"], host["NanoCpus"]) == (int(1.75 * (1 << 30)), int(1.25e9))
    assert (host["ShmSize"], host["PidsLimit"]) == (65 << 20, int(limits["pids"]))
    assert {binding["HostIp"] for bound in host["PortBindings"].values() for binding in bound} == {ODD["bind"]}
    assert output(engine, container, "id", "-u", "dev").decode().strip() == ODD["user"]["uid"]
    zone = output(engine, container, "date", "-d", "2024-01-01T00:00:00Z", "+%:z").decode().strip()
    assert (parse_environment(output(engine, container, "cat", "/proc/1/environ"))["TZ"], zone) == (
        ODD["timezone"],
        "+11:00",
    )
    assert workstation.inside("sh", "-c", "printf %s $ZSH_THEME") == ODD["shell"]["theme"]


def test_the_screen_is_as_odd_as_it_was_asked_for(workstation: Workstation) -> None:
    with connect_vnc(ODD["bind"], workstation.port("vnc")).login(workstation.password()) as client:
        assert "{}x{}".format(*client.size) == ODD["desktop"]["geometry"]
    assert f"-dpi {ODD['desktop']['dpi']} " in workstation.inside("ps", "-o", "args=", "-C", "Xtigervnc")
