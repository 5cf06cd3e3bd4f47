"""The security levels: what `locked` changes, what it leaves alone, and how `config --explain` tells of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.config import Config, config_as_dict
from builder.core.explain import Setting, explain_config
from builder.core.resolve import resolve_config
from builder.errors import ConfigError
from builder.model import Level, Resolved
from tests.golden.rendering import FACTS as ME
from tests.golden.rendering import render
from tests.unit.core.builders import FACTS, make_catalog, make_config, make_resolved
from tests.unit.core.test_plan import plan_of

LOCKED = "base: debian-12\nsecurity: locked\n"
TOOLS = {
    "tools/sudo": "summary: sudo\nlevels: [dev]\nchecks: [{run: [sudo, -n, id]}]\n",
    "tools/sshd": "summary: SSH\nrequires: [init]\nports: {ssh: 2222}\nchecks: [{service: sshd}]\n",
    "profiles/workstation": "summary: x\ntools: [sudo, sshd]\n",
}


def resolve(text: str) -> Resolved:
    return resolve_config(make_config(text), make_catalog(**TOOLS), FACTS)


# ------------------------------------------------------------------------------------------------ what it changes


def test_the_default_level_is_dev_and_sets_no_limit() -> None:
    runtime = make_resolved("base: debian-12").runtime

    assert (runtime.level, runtime.memory, runtime.cpus, runtime.closed) == (Level.DEV, None, None, ())


@pytest.mark.parametrize("text", ["security: locked", "security: {level: locked}"])
def test_locked_sets_limits_where_none_are_written(text: str) -> None:
    runtime = make_resolved(f"base: debian-12\n{text}").runtime

    assert (runtime.level, runtime.memory, runtime.cpus, runtime.pids) == (Level.LOCKED, 4 << 30, 2.0, 2048)


def test_locked_keeps_the_limits_that_are_written() -> None:
    runtime = make_resolved(f"{LOCKED}resources: {{memory: 1g, cpus: 8}}").runtime

    assert (runtime.memory, runtime.cpus) == (1 << 30, 8.0)


def test_no_more_processors_are_asked_for_than_the_machine_has() -> None:
    assert make_resolved(LOCKED, replace(FACTS, cpus=1)).runtime.cpus == 1.0
    assert make_resolved(LOCKED, replace(FACTS, cpus=16)).runtime.cpus == 2.0


def test_an_unknown_level_is_told_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="`open` is not a level") as caught:
        make_config("security: open")
    assert "dev, locked" in str(caught.value.hint)


@pytest.mark.parametrize("text", [LOCKED, f"{LOCKED}ssh: {{}}", f"{LOCKED}ports: {{ssh: false}}"])
def test_locked_has_no_ssh_server_unless_asked(text: str) -> None:
    resolved = resolve(text)

    assert resolved.doors == {}
    assert resolved.runtime.environment["DEVBOX_OFF"] == "sshd"
    assert "ssh" not in {port.name for port in resolved.runtime.ports}
    assert [check for tool in resolved.tools for check in tool.checks] == []


@pytest.mark.parametrize(
    "more", ["ports: {ssh: true}", "ports: {ssh: 2200}", "ssh: {authorized_keys: [~/.ssh/id.pub]}"]
)
def test_locked_has_an_ssh_server_where_it_is_asked_for(more: str) -> None:
    resolved = resolve(f"{LOCKED}{more}")

    assert resolved.doors == {"ssh": 2222}
    assert "DEVBOX_OFF" not in resolved.runtime.environment


def test_a_tool_that_has_no_use_at_a_level_is_not_checked_there() -> None:
    def checks(text: str) -> list[tuple[str, ...]]:
        return [check.run for tool in resolve(text).tools if tool.name == "sudo" for check in tool.checks]

    assert checks("base: debian-12") == [("sudo", "-n", "id")]
    assert checks(LOCKED) == []


def test_locked_refuses_the_id_of_somebody_else_for_it_could_not_read_the_secrets() -> None:
    with pytest.raises(ConfigError, match="runs as you, 1234"):
        make_resolved(f"{LOCKED}user: {{uid: 4321}}")
    as_root = replace(FACTS, uid=0, gid=0)
    assert make_resolved(f"{LOCKED}user: {{uid: 4321}}", as_root).runtime.reader == (4321, 4321)


@pytest.mark.parametrize("text", [LOCKED, f"{LOCKED}ports: {{ssh: true}}", f"{LOCKED}resources: {{memory: 1g}}"])
def test_what_was_understood_can_be_written_and_read_again(text: str) -> None:
    config = make_config(text)
    assert Config.model_validate(config_as_dict(config)) == config


# ------------------------------------------------------------------------------------------------ and what it does not


def test_both_levels_share_one_image() -> None:
    assert render(LOCKED).plan.id == render("base: debian-12").plan.id


def test_an_id_that_nobody_inside_could_change_is_built_in() -> None:
    other = plan_of(LOCKED, facts=FACTS)  # 1234:1235
    own = plan_of(LOCKED, facts=replace(FACTS, uid=1000, gid=1000))

    assert plan_of(facts=FACTS).id == own.id != other.id
    assert {step.name for step in own.steps if step.id not in {step.id for step in other.steps}} == {"configure"}
    assert isinstance(other.steps[-1].options, dict)
    assert (other.steps[-1].options["uid"], other.steps[-1].options["gid"]) == (1234, 1235)


def test_the_build_makes_the_user_with_the_id_that_is_built_in() -> None:
    text = render(f"{LOCKED}user: {{uid: 4321}}", facts=replace(ME, uid=0, gid=0)).dockerfile
    assert "DEVBOX_UID=4321 DEVBOX_GID=4321 /usr/lib/devbox/configure" in text
    assert "DEVBOX_UID" not in render(LOCKED).dockerfile


# ------------------------------------------------------------------------------------------------ config --explain


def explain(text: str) -> dict[str, Setting]:
    config = make_config(text, ME)
    return {item.key: item for item in explain_config(config, render(text).resolved)}


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("name", "my-app", "this machine"),
        ("timezone", "Europe/Berlin", "this machine"),
        ("user.uid", 1000, "this machine"),
        ("desktop.server", "tigervnc", "profile workstation"),
        ("base.name", "debian-12", "devbox.yaml:1"),
        ("base.substitute", True, "default"),
        ("tools.node.version", "22", "devbox.yaml:3"),
        ("tools.node.enabled", True, "default"),
        ("apt.packages", ["htop"], "devbox.yaml:4"),
        ("environment.EDITOR", "vim", "devbox.yaml:5"),
        ("resources.memory", "4g", "level locked"),
        ("resources.cpus", 1.5, "devbox.yaml:7"),
        ("resources.pids", 2048, "default"),
        ("ports.ssh.published", False, "level locked"),
        ("security.level", "locked", "devbox.yaml:8"),
        ("desktop.dpi", 96, "default"),
        ("ca_bundle.path", None, "default"),
    ],
)
def test_each_setting_is_told_with_where_it_comes_from(key: str, value: object, origin: str) -> None:
    text = """\
base: debian-12
tools:
  node: 22
apt: [htop]
environment: {EDITOR: vim}
resources:
  cpus: 1.5
security: locked
desktop: {dpi: }
"""
    found = explain(text)[key]

    assert (found.value, found.origin) == (value, origin)


def test_every_key_of_the_configuration_is_explained() -> None:
    assert {key.partition(".")[0] for key in explain("base: debian-12")} == set(Config.model_fields)
