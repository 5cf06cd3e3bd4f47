"""`devbox hosts`: every machine has its row, also one that does not answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from builder.adapters.clock import monotonic
from builder.cli import app, remote, run
from builder.cli.enter import _opener
from builder.cli.frame import Options
from builder.errors import ConfigError, EngineError, HostError
from builder.views import ContainerView

VIEW = ContainerView(
    id="1", name="app-workstation-1", image="x", image_id="sha256:1", state="running", health="healthy", exit_code=0,
    created="2026-01-01T00:00:00+00:00", ports={5901: 5901, 6080: 6080},
    labels={"com.docker.compose.project": "app", "dev.devbox.workspace": "/app"},
)  # fmt: skip


@dataclass
class Machines:
    """What stands behind the tunnels, by address, and what happens to who connects."""

    over: threading.Event = field(default_factory=threading.Event)
    opened: list[str] = field(default_factory=list)

    def connect(self, environment: Mapping[str, str], talk: object) -> object:
        address = environment["DOCKER_HOST"]
        self.opened.append(address)
        if "silent" in address:
            self.over.wait(30)
        if "broken" in address:
            raise EngineError("the engine hung up", hint="look there")
        if "closed" in address:
            raise HostError("login: me is not let in", hint="ssh-copy-id")
        return Mock(find_workstations=lambda: (VIEW,))


@pytest.fixture
def machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machines]:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("h")))  # a short path, for sockets
    for name in ("DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    found = Machines()
    monkeypatch.setattr("builder.wiring.connect", found.connect)
    yield found
    found.over.set()


def lead_to(monkeypatch: pytest.MonkeyPatch, **states: str) -> None:
    tunnels = [
        Mock(address=f"ssh://{name}", ask=lambda do, state=state: {"state": state, "trouble": "no route to host"})
        for name, state in states.items()
    ]
    monkeypatch.setattr("builder.adapters.remote.client.find_tunnels", lambda environment: tunnels)


def list_them(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert run(lambda: app(["-C", str(folder), *more, "hosts", "--json"], standalone_mode=False)) == 0
    told = json.loads(capsys.readouterr().out)
    assert len({item["address"] for item in told}) == len(told)
    return {item["address"]: item for item in told}


def test_machines_that_do_not_answer_say_why_and_hold_nobody_up(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "LOOK_S", 1.0)
    states = {"well": "connected", "silent1": "connected", "silent2": "connected", "broken": "connected"}
    lead_to(monkeypatch, **states, away="connecting")
    began = monotonic()
    found = list_them(tmp_path, capsys)
    assert monotonic() - began < 1.9  # both silent ones at the same time
    assert [row["name"] for row in found["ssh://well"]["workstations"]] == ["app"]
    assert found["ssh://well"]["trouble"] == ""
    words = {"silent1": "no answer within 1 s", "silent2": "no answer", "broken": "hung up", "away": "no route to host"}
    assert {name for name, text in words.items() if text in found[f"ssh://{name}"]["trouble"]} == set(words)
    assert "ssh://away" not in machines.opened


def test_the_machine_of_this_folder_is_connected_to_and_those_of_contexts_are_named(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lead_to(monkeypatch, well="connected")
    (tmp_path / "devbox.yaml").write_text("host: ssh://closed\n")
    for name, text in {
        "a": '{"Endpoints": {"docker": {"Host": "ssh://other/"}}}', "b": '{"Endpoints": {"docker": {"Host": "ssh://well"}}}',
        "c": '{"Endpoints": {"docker": {"Host": "tcp://127.0.0.1:1"}}}', "d": "{",
    }.items():  # fmt: skip
        (tmp_path / ".docker/contexts/meta" / name).mkdir(parents=True)
        (tmp_path / ".docker/contexts/meta" / name / "meta.json").write_text(text)
    found = list_them(tmp_path, capsys)
    assert list(found) == ["ssh://closed", "ssh://well", "ssh://other"]
    assert "not let in" in found["ssh://closed"]["trouble"]
    assert "no tunnel leads there" in found["ssh://other"]["trouble"]
    assert sorted(machines.opened) == ["ssh://closed", "ssh://well"]
    assert "ssh://closed" not in list_them(tmp_path, capsys, "--host", "ssh://well")


def test_a_context_that_cannot_be_read_is_told_and_the_list_goes_on(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lead_to(monkeypatch, well="connected")
    (tmp_path / ".docker/contexts/meta/d").mkdir(parents=True)
    (tmp_path / ".docker/contexts/meta/d/meta.json").write_text("{")
    assert run(lambda: app(["-C", str(tmp_path), "hosts"], standalone_mode=False)) == 0
    told = capsys.readouterr()
    assert "meta/d/meta.json: cannot be read" in told.err
    assert "app " in told.out
    assert "5901 6080" in told.out


@pytest.mark.parametrize("name", ["gpu", "gate", "outer"])
def test_a_workstation_with_the_name_of_a_machine_on_the_way_gets_no_section_that_would_take_its_place(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))  # a short one, for a socket
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host gpu\n  ProxyJump gate\nHost gate\n  ProxyJump me@outer:2222\n")
    asked = Options(directory=tmp_path, log="quiet", host="ssh://me@gpu:22")
    context: Any = Mock(find_object=lambda kind: asked)
    assert _opener(context, "app")[-3:] == ["--host", "ssh://me@gpu:22", "status"]
    with pytest.raises(ConfigError, match=f"the workstation and a machine on the way to it are both called {name}"):
        _opener(context, name)
