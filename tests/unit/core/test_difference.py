"""The words of `devbox diff`: what a change makes anew, and why."""

from __future__ import annotations

import dataclasses

import pytest

from builder.core.difference import ImageDifference, compare_image, explain_container
from builder.core.updates import Change
from builder.model import Plan
from tests.unit.core.test_plan import BASE, ROOTFS, TEMPLATES, answers, changed_tool, plan_of
from tests.unit.core.test_service import spec_of


def difference(after: Plan, before: Plan | None = None, packages: tuple[Change, ...] = ()) -> ImageDifference:
    before = before or plan_of()
    steps = {step.name: [step.id[:12], step.summary] for step in before.steps}
    return compare_image(before.image, before.profile, steps, after, packages)


@pytest.mark.parametrize(
    ("text", "why", "stays"),
    [
        (
            "apt: [htop]",
            ("apt:htop is new: htop", "configure: runs again, since what it stands on changed"),
            ("base", "apt", "node"),
        ),
        (
            "npm: [typescript@5.4.5]",
            ("npm:typescript is new: typescript 5.4.5", "configure: runs again, since what it stands on changed"),
            ("base", "apt", "node"),
        ),
        ("user: ann", ("configure: the user, the locale or an id is another one",), ("base", "apt", "node", "rootfs")),
    ],
)
def test_a_change_of_devbox_yaml_says_which_steps_run_and_which_stay(
    text: str, why: tuple[str, ...], stays: tuple[str, ...]
) -> None:
    found = difference(plan_of(f"base: debian-12\n{text}"))
    assert found.why == why
    assert set(stays) <= set(found.stays)
    assert set(found.runs).isdisjoint(found.stays)


def test_another_base_is_why_everything_runs_again() -> None:
    other = dataclasses.replace(BASE, name="debian-13", identity="debian@sha256:2")
    found = difference(plan_of(given=answers(other)))
    assert found.why[:2] == ("base: debian-12 -> debian-13", "apt: runs again, since base changed")
    assert found.stays == ("node", "oh-my-zsh", "rootfs")


def test_another_profile_is_said_first() -> None:
    found = difference(plan_of("base: debian-12\nprofile: headless"))
    assert found.why[0] == "the profile is headless, and was workstation"
    assert found.after.startswith("devbox/headless:")


def test_a_tool_that_was_taken_out_is_gone() -> None:
    found = difference(plan_of(), before=plan_of("base: debian-12\napt: [htop]"))
    assert found.why == ("apt:htop is gone", "configure: runs again, since what it stands on changed")


def test_another_npm_version_names_both() -> None:
    found = difference(plan_of("base: debian-12\ntools: {node: 22, claude-code: 2.1.330}"))
    assert "claude-code: @anthropic-ai/claude-code 2.0.76 -> @anthropic-ai/claude-code 2.1.330" in found.why


def test_locked_versions_that_differ_are_named() -> None:
    change = Change(kind="deb", name="curl", before="7.88.1-10", after="7.88.1-11")
    found = difference(plan_of("base: debian-12\napt: [htop]"), packages=(change,))
    assert [str(item) for item in found.packages] == ["curl 7.88.1-10 -> 7.88.1-11"]


def test_files_of_devbox_are_why_the_last_steps_run_again() -> None:
    files = {**ROOTFS, "init/usr/lib/devbox/init": dataclasses.replace(ROOTFS["init/usr/lib/devbox/init"], data=b"new")}
    found = difference(plan_of(rootfs=files))
    assert found.why == ("rootfs: files of the image changed", "configure: runs again, since what it stands on changed")
    assert found.runs == ("rootfs", "configure")


def test_templates_of_devbox_are_why_no_step_is_another_one_and_the_image_is() -> None:
    found = difference(plan_of(templates={**TEMPLATES, "fragments/apt.j2": "y"}))
    assert found.why == ("the templates of devbox, or the variables of a tool, changed",)
    assert found.runs == ()


def test_a_variable_of_a_tool_is_no_step_either() -> None:
    found = difference(plan_of(resolved=changed_tool("node", env={"MARK": "1"})))
    assert found.why == ("the templates of devbox, or the variables of a tool, changed",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environment: {EDITOR: vim}", ("environment: EDITOR is new",)),
        ("timezone: Asia/Tokyo", ("timezone: Europe/Berlin -> Asia/Tokyo",)),
        ("ports: {web: 7080}", ("ports: web 127.0.0.1:6080 -> 127.0.0.1:7080",)),
        ("ports: {ssh: false}", ("ports: ssh is published no more",)),
        ("mounts: [{source: ./data, target: /data}]", ("mounts: /data is new",)),
        ("resources: {memory: 4g}", ("resources.memory: no limit -> 4096 MB",)),
        ("user: {uid: 4321}", ("user.uid: 1234 -> 4321", "environment: DEVBOX_GID is another one")),
        ("desktop: {geometry: 1280x720}", ("desktop.geometry: 1920x1080 -> 1280x720",)),
    ],
)
def test_a_change_of_the_container_alone_is_named_by_its_key(text: str, words: tuple[str, ...]) -> None:
    assert explain_container(spec_of(), spec_of(f"base: debian-12\n{text}")) == words


def test_the_security_level_is_one_reason_and_not_four() -> None:
    words = explain_container(spec_of(), spec_of("base: debian-12\nsecurity: locked"))
    assert words.count("what its security level means") == 1
    assert "whether its root can be written to: yes -> no" in words


def test_an_image_alone_gives_the_container_no_reason_of_its_own() -> None:
    spec = spec_of()
    assert explain_container(spec, dataclasses.replace(spec, image="devbox/workstation:0")) == ()
