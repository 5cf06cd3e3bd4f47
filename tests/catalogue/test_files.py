"""The catalogue as it is: every file parses, every name in it is there, every service can be started and waited for."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from builder.core.render import render_image
from tests.golden.rendering import VERSION, assets, catalog, render, resolve

IMAGES = Path(__file__).parents[2] / "images"
TOOLS = sorted(path.stem for path in (IMAGES / "tools").glob("*.yaml"))
SERVICES = sorted(path for path in (IMAGES / "rootfs").glob("*/usr/lib/devbox/services/*") if path.is_dir())
PARTS = sorted(path.name for path in (IMAGES / "rootfs").iterdir() if path.is_dir())
BASES = sorted(path.stem for path in (IMAGES / "bases").glob("*.yaml"))
PROFILES = sorted(path.stem for path in (IMAGES / "profiles").glob("*.yaml"))
SERVICE_FILES = {"run", "finish", "ready", "deadline", "notification-fd", "late", "quiet", "data"}
OF_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda path: f"{path.parts[-6]}-{path.name}")


def test_every_file_is_in_the_catalogue() -> None:
    found = catalog()
    assert sorted(found.tools) == TOOLS
    assert sorted(found.bases) == BASES
    assert sorted(found.profiles) == PROFILES


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_says_what_it_is_and_how_it_is_checked(name: str) -> None:
    tool = catalog().tools[name]
    assert tool.summary
    assert tool.checks, f"images/tools/{name}.yaml declares no check"


def test_a_debian_package_belongs_to_one_tool() -> None:
    """So that leaving a tool out leaves its packages out; tools that need the same package require one another."""
    uses: Counter[str] = Counter()
    for tool in catalog().tools.values():
        uses.update({*tool.apt, *itertools.chain.from_iterable(tool.apt_by_base.values())})
    assert {package for package, number in uses.items() if number > 1} == set()


def test_packages_are_listed_in_order() -> None:
    for name, tool in catalog().tools.items():
        assert list(tool.apt) == sorted(tool.apt), name


def test_every_part_of_the_image_belongs_to_a_tool() -> None:
    used = Counter(part for tool in catalog().tools.values() for part in tool.rootfs)
    assert sorted(used) == PARTS


@pytest.mark.parametrize(("profile", "base"), list(itertools.product(PROFILES, BASES)))
def test_every_profile_stands_on_every_base(profile: str, base: str) -> None:
    rendered = render(f"profile: {profile}\nbase: {base}\n")
    tools = {tool.name: tool for tool in rendered.resolved.tools}
    assert {"init", "sshd", "zsh", "node", "python", "git", "sudo"} <= set(tools)
    assert ("desktop" in tools) is (profile == "workstation")
    python = [item for item in rendered.plan.substitutions if item.what == "python"]
    assert bool(python) is (base == "debian-11")


@pytest.mark.parametrize("base", [base for base in BASES if base.startswith("ubuntu")])
def test_what_stands_in_for_a_base_resolves_too(base: str) -> None:
    substitute = resolve(f"base: {base}").substitute
    assert substitute is not None
    assert resolve(f"base: {base}", base=substitute.name).base.distribution == "debian"


@pytest.mark.parametrize("name", [name for name in TOOLS if name not in catalog().profiles["workstation"].tools])
def test_a_tool_that_no_profile_has_can_be_added(name: str) -> None:
    assert name in {tool.name for tool in resolve(f"base: debian-12\ntools: [{name}]").tools}


@pytest.mark.parametrize(
    ("name", "version"),
    [(name, version) for name, tool in sorted(catalog().tools.items()) for version in tool.versions.choices],
)
def test_every_version_can_be_chosen(name: str, version: str) -> None:
    newest_node = 'node: "24", ' if name != "node" else ""
    resolved = resolve(f'base: debian-12\ntools: {{{newest_node}{name}: "{version}"}}')
    tool = next(tool for tool in resolved.tools if tool.name == name)
    assert tool.version is not None
    assert tool.version.startswith(version)
    assert tool.npm is None or tool.npm.integrity is not None
    assert tool.wheel is None or tool.wheel.sha256


# -------------------------------------------------------------------------------------------------- services


@OF_SERVICE
def test_a_service_can_be_run_and_waited_for(service: Path) -> None:
    files = {path.name for path in service.iterdir()}
    assert files <= SERVICE_FILES
    assert os.access(service / "run", os.X_OK)
    assert (service / "run").read_text(encoding="utf-8").startswith("#!")
    if service.name == "ready":  # the probe itself: what it waits for are the others
        return
    assert "ready" in files, "nothing says when it is ready"
    assert float((service / "deadline").read_text(encoding="ascii")) > 0


@OF_SERVICE
def test_a_notification_is_a_descriptor_that_run_uses(service: Path) -> None:
    path = service / "notification-fd"
    if not path.exists():
        return
    assert re.fullmatch(r"[3-9]\n?", path.read_text(encoding="ascii"))


@pytest.mark.parametrize("base", ["debian-11", "debian-12"])
def test_a_check_of_a_service_names_one_that_the_image_has(base: str) -> None:
    for server in ("tigervnc", "tightvnc"):
        rendered = render(f"base: {base}\ndesktop: {{server: {server}}}")
        there = {path.split("/")[5] for path in rendered.tree if path.startswith("rootfs/usr/lib/devbox/services/")}
        named = {check.service for tool in rendered.resolved.tools for check in tool.checks if check.service}
        assert named <= there
        assert there - named <= {"ready"}, "a service that no tool checks"


# ----------------------------------------------------------------------------------------------------- files


def test_no_two_parts_of_a_profile_bring_the_same_file() -> None:
    for server in ("tigervnc", "tightvnc"):
        plan = render(f"base: debian-12\ndesktop: {{server: {server}, opengl: true}}").plan
        render_image(plan, rootfs=assets().rootfs, templates=assets().templates, version=VERSION)


def test_every_script_can_be_executed_and_nothing_else() -> None:
    for path, file in assets().rootfs.items():
        sourced = path.endswith((".sh", "zshrc", ".zshrc"))
        assert file.executable is (file.data.startswith(b"#!") and not sourced), path


def test_nothing_of_this_machine_and_no_registry_is_written_anywhere() -> None:
    hosts = re.compile(
        r"(?:deb|archive|security|ports)\.(?:debian|ubuntu)\.|registry\.npm|pypi\.|pythonhosted|docker\.io/"
    )
    texts = {**assets().catalogue, **assets().templates}
    texts |= {path: file.data.decode(errors="replace") for path, file in assets().rootfs.items()}
    assert [path for path, text in texts.items() if hosts.search(text)] == []
