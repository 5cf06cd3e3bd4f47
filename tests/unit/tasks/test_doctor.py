"""What doctor says of an engine below a floor, and of a base whose support ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from builder.adapters.assets import load_assets
from builder.model import EngineVersion
from builder.tasks.doctor import Finding, HostLook, examine
from tests.unit.tasks.fakes import FakeEngine, World

SOUND = EngineVersion(
    version="29.0.0", api="1.50", arch="amd64", os="linux", buildkit=True, cgroup="2", storage="overlay2",
    rootless=False, host="unix:///x", runc="1.3.3",
)  # fmt: skip
DEBIAN = EngineVersion(
    version="20.10.24+dfsg1", api="1.41", arch="amd64", os="linux", buildkit=True, cgroup="2", storage="overlay2",
    rootless=False, host="unix:///x", runc="1.1.5+ds1-1+deb12u1",
)  # fmt: skip


@dataclass
class Told(FakeEngine):
    about: EngineVersion = field(default=SOUND)

    def version(self) -> EngineVersion:
        return self.about


def findings(about: EngineVersion = SOUND, today: date = date(2026, 1, 1), config: str | None = None) -> list[Finding]:
    look = HostLook(free_gb=50.0, cache="/c", today=today, sources={"PyPI": None})
    context = replace(World(config=config, engine=Told(about=about)).context(), assets=load_assets())
    return examine(context, lambda: look)


def test_a_sound_engine_gets_no_warning() -> None:
    found = [item for item in findings() if item.topic in ("engine", "runc", "buildkit")]
    assert [item.level for item in found] == ["ok"]
    assert "runc 1.3.3" in found[0].text


def test_an_engine_below_the_floors_is_warned_of_and_the_package_is_named() -> None:
    found = {item.topic: item for item in findings(DEBIAN) if item.level == "warning"}
    assert {"engine", "runc", "buildkit"} <= set(found)
    assert "1.1.5+ds1-1+deb12u1 is older than 1.2.8 or 1.3.3" in found["runc"].text
    assert "is root on the engine's machine" in found["runc"].text
    assert "look for CVE-2025-31133 in `apt changelog runc`" in str(found["runc"].hint)
    assert "same network segment" in found["engine"].text
    assert not [item for item in findings(DEBIAN) if item.level == "error"]


def test_podman_is_named_and_held_to_no_floor_of_docker() -> None:
    podman = replace(SOUND, version="4.3.1", api="1.41", buildkit=False, kind="podman", runc="1.1.5+ds1-1+deb12u1")
    found = [item for item in findings(podman) if item.topic in ("engine", "runc", "buildkit")]
    assert [(item.topic, item.level) for item in found] == [
        ("engine", "ok"),
        ("engine", "warning"),
        ("runc", "warning"),
    ]
    assert found[0].text.startswith("podman 4.3.1")
    assert "buildah" in found[1].text


@pytest.mark.parametrize(
    ("today", "words"),
    [
        (date(2026, 8, 1), None),
        (date(2026, 11, 25), "security support of ubuntu-22.04 ends on 2027-06-01"),
        (date(2027, 6, 1), "security support of ubuntu-22.04 ends on 2027-06-01"),
        (date(2027, 6, 2), "security support of ubuntu-22.04 ended on 2027-06-01"),
    ],
)
def test_a_base_near_the_end_of_its_support_is_warned_of_by_the_day(today: date, words: str | None) -> None:
    found = [item for item in findings(today=today, config="base: ubuntu-22.04") if "support" in item.text]
    assert [(item.level, item.text) for item in found] == ([("warning", words)] if words else [])
    assert all(item.hint == "`base: ubuntu-24.04` in devbox.yaml is newer" for item in found)
