"""What runs beside a workstation, on a real engine: from Debian's packages, since no registry is reached here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation

pytestmark = pytest.mark.engine_26

CONFIG = "profile: headless\nframework: none\nsidecars: [{name}]\ndotfiles: ./dotfiles\n"
HOOKS = """\
hooks:
  on_create: ["echo one >>log", "test -e /tmp/ready && echo two >>log"]
  on_start: ["echo start >>log; sleep 300 & printf '%s' \\"$REDIS_HOST\\" >host"]
  timeout: 20
"""
ASK_REDIS = """
import os, socket
with socket.create_connection((os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))) as wire:
    wire.sendall(b"GET a\\r\\n"); print(wire.recv(99).split()[0].decode())
    wire.sendall(b"AUTH " + os.environ["REDIS_PASSWORD"].encode() + b"\\r\\n"); print(wire.recv(99).decode().strip())
    wire.sendall(b"%s\\r\\n"); print(wire.recv(99).decode().split("\\r\\n")[-2])
"""


def make_dotfiles(bare: Path) -> None:
    """A bare repository without a script of its own."""
    work = bare.with_name("work")
    work.mkdir()
    (work / ".zshrc").write_text("# mine\n")
    (work / ".config/tool").mkdir(parents=True)
    (work / ".config/tool/settings").write_text("on\n")
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", "-C", str(work)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "mine"], ["clone", "-q", "--bare", ".", str(bare)]):
        subprocess.run([*git, *words], check=True)


@pytest.fixture(scope="module")
def beside(session_workstations: NewWorkstation) -> Workstation:
    """With a sidecar, variables of a file, and a hook that failed: the workstation runs."""
    workstation = session_workstations("beside", CONFIG.format(name="redis") + HOOKS)
    (workstation.folder / ".env").write_text("TOKEN=of-dotenv\nPRICE='5 $'\nPATH=/nowhere\n")
    make_dotfiles(workstation.folder / "dotfiles")
    workstation.started = True
    failed = workstation.run("up")
    assert failed.returncode == 6, failed.stderr
    assert "hooks.on_create (2 of 2) failed with exit code 1: test -e /tmp/ready" in failed.stderr
    assert "not taken from" in failed.stderr
    return workstation


def test_a_hook_that_failed_is_gone_on_with_and_each_runs_once(beside: Workstation) -> None:
    beside.inside("touch", "/tmp/ready")
    beside.up()
    assert beside.inside("cat", "projects/log").split() == ["one", "two", "start"]
    assert beside.inside("cat", "projects/host") == "redis"
    beside.up()
    beside.ok("stop")
    beside.ok("start")
    assert beside.inside("cat", "projects/log").split() == ["one", "two", "start", "start"]


def test_dotfiles_are_linked_and_what_was_there_is_kept(beside: Workstation) -> None:
    assert beside.inside("cat", ".zshrc", ".config/tool/settings").split("\n") == ["# mine", "on", ""]
    assert beside.inside("readlink", ".config/tool/settings").strip() == "/home/dev/.dotfiles/.config/tool/settings"
    assert beside.inside("ls", ".zshrc.before-dotfiles").strip()
    assert "mine" in beside.inside("git", "-C", ".dotfiles", "log", "--format=%s")


def test_a_dotenv_reaches_every_door_and_is_shown_nowhere(beside: Workstation, engine: Engine) -> None:
    for told in (beside.inside("env"), beside.ok("ssh", "env")):
        assert {"TOKEN=of-dotenv", "PRICE=5 $"} <= set(told.splitlines())
        assert "PATH=/nowhere" not in told.splitlines()
    rendered = "".join(path.read_text() for path in (beside.folder / ".workstation").glob("*") if path.is_file())
    inspected = json.dumps(engine.inspect(beside.container(engine).id))
    assert "of-dotenv" not in rendered + inspected + beside.ok("config", "--explain")


def sidecar_of(workstation: Workstation) -> Mapping[str, Any]:
    (found,) = cast("list[Mapping[str, Any]]", workstation.status()["sidecars"])
    return found


def test_a_sidecar_is_reached_by_its_name_and_with_its_password_alone(beside: Workstation, engine: Engine) -> None:
    assert beside.inside("python3", "-c", ASK_REDIS % "SET a kept").split() == ["-NOAUTH", "+OK", "+OK"]
    found = sidecar_of(beside)
    assert (found["name"], found["state"], found["endpoint"]) == ("redis", "running", "")
    assert found["substitutions"][0]["wanted"].startswith("redis:")
    secret = beside.inside("printenv", "REDIS_PASSWORD").strip()
    views = engine.find_containers("beside")
    told = json.dumps([engine.inspect(view.id) for view in views])
    rendered = "".join(path.read_text() for path in (beside.folder / ".workstation").glob("*") if path.is_file())
    assert len(views) == 2
    assert secret not in told + rendered + beside.ok("config", "--explain") + beside.ok("logs", "redis")
    assert "REDIS_PASSWORD" in beside.ok("ssh", "env")  # also who comes by SSH has it


def test_a_sidecar_may_do_nothing_that_it_need_not(beside: Workstation, engine: Engine) -> None:
    (view,) = [view for view in engine.find_containers("beside") if view.name == "beside-redis-1"]
    status = engine.run(view.id, ["cat", "/proc/1/status"]).stdout.decode()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Uid:\t0" not in status
    assert engine.run(view.id, ["touch", "/etc/x"]).code != 0
    assert view.ports == {}


def test_a_sidecar_keeps_its_data_and_is_no_workstation(beside: Workstation, engine: Engine) -> None:
    assert "beside-redis-1" not in [view.name for view in engine.find_workstations()]
    before = {view.id for view in engine.find_containers("beside")}
    beside.write((CONFIG.format(name="redis") + HOOKS).replace("[redis]", "{redis: {port: 16379}}"))
    beside.up()
    after = engine.find_containers("beside")
    assert len(before - {view.id for view in after}) == 1  # the workstation is as it was
    assert beside.inside("python3", "-c", ASK_REDIS % "GET a").split()[-1] == "kept"
    assert sidecar_of(beside)["endpoint"].startswith("127.0.0.1:163")


def test_down_takes_it_along_and_its_volume_when_asked(beside: Workstation, engine: Engine) -> None:
    beside.ok("down")
    assert engine.find_containers("beside") == ()
    assert "beside_sidecar-redis-built" in engine.volumes("beside")
    beside.take_away()
    assert engine.volumes("beside") == ()


@pytest.mark.long
def test_postgres_makes_its_database_once_and_finds_it_again(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation(
        "beside-pg", "profile: headless\nframework: none\nsidecars: [postgres]\napt: [postgresql-client]\n"
    )
    workstation.up()
    workstation.inside("psql", "-c", "CREATE TABLE kept AS SELECT 42 AS number")
    workstation.up("--recreate")
    assert workstation.inside("sh", "-c", 'psql -At "$DATABASE_URL" -c "SELECT number FROM kept"').strip() == "42"
