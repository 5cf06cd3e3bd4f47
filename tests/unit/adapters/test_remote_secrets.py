"""What is ours on another machine, secrets on their way there, and ports that have to be free on both."""

from __future__ import annotations

import io
import tarfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from builder.adapters.engine.containers import ContainerVerbs
from builder.adapters.engine.host import EngineHost, find_host
from builder.adapters.engine.remote import RemoteEngine, pack_secrets
from builder.adapters.remote.marks import mark_folder
from builder.adapters.remote.ports import RemotePorts
from builder.core.labels import LABEL_SECRETS, LABEL_WORKSPACE
from builder.errors import EngineError, PortTakenError
from tests.unit.adapters.scripted_engine import scripted_engine


@pytest.fixture(autouse=True)
def our_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.adapters.remote.marks.find_digits", lambda: "00000000")


class Listed:
    """An engine with volumes that were made for these folders."""

    def __init__(self, *folders: str) -> None:
        self._folders = folders

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return []

    def volumes(self, **_: object) -> dict[str, Any]:
        return {"Volumes": [{"Name": name, "Labels": {"dev.devbox.workspace": name}} for name in self._folders]}


def test_networks_and_volumes_are_ours_by_the_digits_of_this_machine_alone() -> None:
    engine = object.__new__(RemoteEngine)
    engine.host = EngineHost(url="unix:///x", source="x")
    engine._api = Listed(mark_folder("/home/me/a"), "elsewhere-12345678:/home/me/b", "/home/me/c")  # type: ignore[assignment]
    for found in (engine.all_parts(), engine.find_parts("app")):
        assert [part.workspace for part in found] == [
            "there:/home/me/c", "elsewhere-12345678:/home/me/b", "/home/me/a"
        ]  # fmt: skip


@pytest.mark.parametrize(("user", "owner"), [("", (0, 0)), ("1000:1001", (1000, 1001)), ("postgres", (0, 0))])
def test_secrets_stay_as_private_as_they_are(tmp_path: Path, user: str, owner: tuple[int, int]) -> None:
    for name, mode in (("vnc-password", 0o600), ("password", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    with tarfile.open(fileobj=io.BytesIO(pack_secrets(tmp_path, user))) as archive:
        found = {item.name: (item.mode, (item.uid, item.gid)) for item in archive}
        assert found == {
            "vnc-password": (0o600, owner), "password": (0o644, owner),
            "environment": (0o600, owner), "gitconfig": (0o600, owner),
        }  # fmt: skip
        for name in ("environment", "gitconfig"):  # a .env that is gone sets nothing over there either
            taken_back = archive.extractfile(name)
            assert taken_back is not None
            assert taken_back.read() == b""


class Far:
    """A tunnel that has nothing to do."""

    fresh = False

    def ask(self, do: str, **more: object) -> dict[str, bool]:
        return {"dials": False}


def test_what_brings_them_can_be_made_of_an_image_without_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a sidecar: the engine refuses a container that has nothing to run."""
    orders: list[dict[str, Any]] = []
    tunnel: Any = Far()
    with scripted_engine(tmp_path, {}) as environment:
        engine = RemoteEngine(find_host(environment), tunnel, print)

        def create(order: dict[str, Any]) -> dict[str, str]:
            orders.append(order)
            return {"Id": "x"}

        monkeypatch.setattr(engine._api, "create_container_from_config", create)
        monkeypatch.setattr(engine._api, "remove_container", lambda *words, **more: None)
        with engine._helper("v", "devbox/sidecar:x"):
            assert orders[0]["Cmd"]


class Tunnel:
    def __init__(self, *, ours: bool, there: bool) -> None:
        self.found = {"ours": ours, "there": there}

    def ask(self, do: str, **more: object) -> dict[str, bool]:
        assert do == "look"
        return self.found


@pytest.mark.parametrize(
    ("ours", "there", "here", "free"),
    [
        (False, False, True, True),
        (False, False, False, False),
        (False, True, True, False),
        (True, False, False, True),  # held here by the tunnel for what is gone there
        (True, True, False, False),
    ],
)
def test_a_port_is_free_if_it_is_free_here_and_there(
    ours: bool, there: bool, here: bool, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.adapters.ports.is_free", lambda address, port: here)
    tunnel: Any = Tunnel(ours=ours, there=there)
    assert RemotePorts(lambda: tunnel).is_free("127.0.0.1", 6080) is free


@pytest.mark.parametrize(
    ("labels", "mine"),
    [
        ({LABEL_SECRETS: "app", LABEL_WORKSPACE: "ours-00000000:/home/me/before"}, True),
        ({LABEL_SECRETS: "app", LABEL_WORKSPACE: "elsewhere-12345678:/home/me/app"}, False),
        ({LABEL_WORKSPACE: "ours-00000000:/home/me/app"}, False),  # one with data of a person
        (None, False),
    ],
)
def test_no_secret_goes_into_a_volume_that_is_anothers(labels: dict[str, str] | None, mine: bool) -> None:
    engine: Any = object.__new__(RemoteEngine)
    engine._api = Mock(create_volume=Mock(return_value={"Labels": labels}))
    engine.host = Mock()
    with nullcontext() if mine else pytest.raises(EngineError, match="app_secrets is not of this workstation"):
        engine._ensure_secrets("app_secrets", "app", mark_folder("/home/me/app"))


def test_a_container_whose_port_is_taken_here_does_not_hold_it_over_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or `up` would find its own container there, and give it the same port once more."""
    stopped: list[str] = []
    engine: Any = object.__new__(RemoteEngine)
    engine._tunnel = Mock(forward=lambda *words: False)
    network = {"Ports": {"6080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6080"}]}}
    monkeypatch.setattr(ContainerVerbs, "start", lambda self, container: None)
    monkeypatch.setattr(RemoteEngine, "_network_of", lambda self, container: network)
    monkeypatch.setattr(RemoteEngine, "stop", lambda self, container, grace_s: stopped.append(container))
    with pytest.raises(PortTakenError, match="6080"):
        engine.start("x")
    assert stopped == ["x"]
