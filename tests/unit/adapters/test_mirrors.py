"""What steps of a build are told of this machine's mirrors, and what is said where they cannot use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters import sources
from builder.adapters.aptsources import Archives, Mirrors
from builder.adapters.hostinfo import NetworkSettings
from builder.adapters.sources import HostSources
from builder.adapters.urls import Unreachable
from builder.errors import HostError
from builder.model import Base
from tests.unit.adapters.test_bootstrap import BASE

FOUND = Archives(mirror="https://m.example/debian", lines=("deb https://m.example/debian x main",), notes=(), epoch=0)
Probe = Callable[[Base, Mirrors], Archives]


class Sources:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.settings = NetworkSettings()
        self.machine = Mirrors(main=("http://near.example/debian",), security=())
        self.told: list[str] = []
        self.patch = monkeypatch
        self.probed: list[Mirrors] = []
        self.answer: Archives | HostError = FOUND
        monkeypatch.setattr(sources, "probe_archives", self._probe)

    def _probe(self, base: Base, mirrors: Mirrors) -> Archives:
        self.probed.append(mirrors)
        if isinstance(self.answer, HostError):
            raise self.answer
        return self.answer

    def lines(self, base: Base = BASE) -> list[str]:
        if not self.settings.apt_mirrors:
            self.patch.setattr(sources, "find_mirrors", lambda distribution, override: self.machine)
        made = HostSources(self.folder, settings=lambda: self.settings)
        return made.host_secrets(base, self.told.append)["sources.list"].decode().splitlines()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    return Sources(tmp_path, monkeypatch)


def test_the_mirror_of_devbox_yaml_reaches_the_steps_of_a_build(world: Sources) -> None:
    """It was used to bootstrap a base, and by nothing else: steps asked what the base said."""
    world.settings = NetworkSettings(apt_mirrors={"debian": "https://m.example/debian"}, ca_bundle=b"CA")
    assert world.lines() == ["deb https://m.example/debian x main"]
    assert world.probed[0].main == ("https://m.example/debian",)
    assert world.probed[0].ca == b"CA"


def test_a_mirror_that_devbox_yaml_names_has_to_answer(world: Sources) -> None:
    world.settings = NetworkSettings(apt_mirrors={"debian": "https://m.example/debian"})
    world.answer = Unreachable("cannot be reached")
    with pytest.raises(HostError, match="cannot be reached"):
        world.lines()


def test_what_a_named_mirror_lacks_is_said(world: Sources) -> None:
    world.settings = NetworkSettings(apt_mirrors={"debian": "https://m.example/debian"})
    world.answer = replace(FOUND, notes=("x-security is left out: 404",))
    assert world.lines() == ["deb https://m.example/debian x main"]
    assert world.told == ["x-security is left out: 404"]


@pytest.mark.parametrize(
    "answer", [Unreachable("no route"), replace(FOUND, notes=("x-security is left out: 404",))], ids=["away", "partly"]
)
def test_a_mirror_that_this_machine_happens_to_use_is_taken_only_if_it_has_all(
    world: Sources, answer: Archives | HostError
) -> None:
    assert world.lines() == ["deb https://m.example/debian x main"]
    world.answer = answer
    assert world.lines() == []
    assert world.told == []


def test_a_mirror_on_loopback_is_not_handed_on_and_that_is_said(world: Sources) -> None:
    world.settings = NetworkSettings(apt_mirrors={"debian": "http://127.0.0.1:3142/debian"})
    assert world.lines() == []
    assert world.probed == []
    assert "http://127.0.0.1:3142/debian is on this machine's loopback" in world.told[0]


def test_a_proxy_on_loopback_is_not_handed_on_and_that_is_said(world: Sources) -> None:
    world.settings = NetworkSettings(proxies={"http_proxy": "http://localhost:3128", "no_proxy": "127.0.0.1"})
    world.lines()
    assert len(world.told) == 1
    assert "http_proxy is on this machine's loopback" in world.told[0]


def test_the_moment_of_a_base_is_taken_from_the_service_of_snapshots(world: Sources) -> None:
    world.settings = NetworkSettings(snapshots={"debian": "https://snap.example/{archive}/{timestamp}"})
    world.lines(replace(BASE, snapshot="20240115T000000Z"))
    assert world.probed[0].main == ("https://snap.example/debian/20240115T000000Z",)
    assert world.probed[0].dated
