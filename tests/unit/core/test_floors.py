"""Which engines are below a known floor, and whether that means anything for who uses them."""

from __future__ import annotations

import pytest

from builder.core.floors import FLOORS, find_below
from builder.model import EngineVersion


def engine(
    version: str = "29.0.0", runc: str = "1.3.3", *, rootless: bool = False, desktop: bool = False, firewall: str = ""
) -> EngineVersion:
    return EngineVersion(
        version=version, api="1.41", arch="amd64", os="linux", buildkit=True, cgroup="2", storage="overlay2",
        rootless=rootless, host="unix:///x", runc=runc, desktop=desktop, firewall=firewall,
    )  # fmt: skip


def below(found: EngineVersion) -> list[str]:
    return [item.floor.problem.split()[0] + " " + item.floor.part for item in find_below(found)]


@pytest.mark.parametrize(
    ("version", "runc", "parts"),
    [
        ("29.0.0", "1.3.3", []),
        ("28.3.3", "1.4.0", []),
        ("28.3.2", "1.2.8", ["after engine"]),
        ("28.2.0", "1.2.9", ["after engine"]),
        ("28.1.1", "1.3.3", []),
        ("27.5.1", "1.2.8", ["a engine"]),
        ("25.0.2", "1.2.8", ["a engine"]),
        ("25.0.1", "1.2.8", ["a engine", "BuildKit buildkit"]),
        ("24.0.9", "1.2.8", ["a engine"]),
        ("24.0.8", "1.2.8", ["a engine", "BuildKit buildkit"]),
        ("29.0.0", "1.3.2", ["an runc"]),
        ("29.0.0", "1.2.7", ["an runc"]),
        ("29.0.0", "1.1.15", ["an runc"]),
        ("20.10.24+dfsg1", "1.1.5+ds1-1+deb12u1", ["a engine", "an runc", "BuildKit buildkit"]),
        ("master", "", []),
    ],
)
def test_numbers_are_compared_line_by_line(version: str, runc: str, parts: list[str]) -> None:
    assert below(engine(version, runc)) == parts


def test_a_distribution_may_have_mended_it_under_the_old_number() -> None:
    assert all(item.packaged for item in find_below(engine("20.10.24+dfsg1", "1.1.5+ds1-1+deb12u1")))
    assert all(item.packaged for item in find_below(engine("24.0.7-0ubuntu2", "1.1.12-0ubuntu2")))
    assert not any(item.packaged for item in find_below(engine("20.10.24", "1.1.5")))


@pytest.mark.parametrize("kind", ["rootless", "desktop"])
def test_ports_of_an_engine_that_does_not_route_are_not_open_to_neighbours(kind: str) -> None:
    found = {item.floor.part: item for item in find_below(engine("20.10.24", "1.1.5", **{kind: True}))}  # type: ignore[arg-type]
    assert not found["engine"].applies
    assert found["runc"].applies
    assert ("not root's" if kind == "rootless" else "virtual machine") in found["runc"].meaning


def test_firewalld_counts_where_it_runs_or_nobody_knows() -> None:
    assert [item.applies for item in find_below(engine("28.3.0", firewall="iptables"))] == [False]
    assert [item.applies for item in find_below(engine("28.3.0", firewall="iptables+firewalld"))] == [True]
    assert [item.applies for item in find_below(engine("28.3.0"))] == [True]


def test_every_floor_says_what_to_do_and_names_sound_versions() -> None:
    for floor in FLOORS:
        assert floor.fixed == tuple(sorted(floor.fixed, key=lambda text: [int(part) for part in text.split(".")]))
        assert all(cve.startswith("CVE-20") for cve in floor.cves)
        assert floor.remedy
