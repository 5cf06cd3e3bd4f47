"""`framework:` of devbox.yaml: what it may say, which tool it becomes, and what the plan knows that tool by."""

from __future__ import annotations

import dataclasses

import pytest

from builder.core.config import Config, config_as_dict, parse_config
from builder.core.plan import explain_difference, make_plan
from builder.core.projects import describe_commit, describe_tree, describe_wheel, is_wanted
from builder.core.resolve import FRAMEWORK_PREFIX, resolve_config
from builder.errors import ConfigError, RenderError
from builder.model import (
    Answers,
    BaseAnswer,
    Plan,
    Project,
    ProjectKind,
    PythonSource,
    RenderedFile,
    Resolved,
    ResolvedTool,
    Retrieval,
)
from tests.unit.core.builders import FACTS, make_catalog, make_config

BUNDLED = {
    "tools/memory": "summary: memory\nprovides: framework\nrequires: [init, python]\n"
    "python: {project: images/frameworks/memory, prefix: /opt/memory}\n"
    "checks: [{run: [memory, --version]}, {service: ingest}]\n",
    "profiles/workstation": "summary: x\ntools: [git, python]\nslots: {framework: memory}\n",
    "frameworks/memory/pyproject": "",
}
WHEEL = "./dist/tools-1.0-py3-none-any.whl"
COMMIT = "a" * 40


def resolve(text: str | None = None) -> Resolved:
    return resolve_config(make_config(text), make_catalog(**BUNDLED), FACTS)


def framework_of(text: str | None = None) -> ResolvedTool | None:
    found = [tool for tool in resolve(text).tools if tool.name == "memory" or tool.name.startswith("framework:")]
    assert len(found) <= 1
    return found[0] if found else None


# ------------------------------------------------------------------------------------------------ what it may say


@pytest.mark.parametrize("text", [None, "framework: bundled", "framework: true", "framework: {ingest: true}"])
def test_the_profiles_own_is_the_default(text: str | None) -> None:
    found = framework_of(text)
    assert found is not None
    assert found.python == PythonSource(
        kind=ProjectKind.OURS, location="images/frameworks/memory", prefix="/opt/memory"
    )
    assert found.from_profile


@pytest.mark.parametrize("text", ["framework: none", "framework: false", "framework: {enabled: false}"])
def test_it_can_be_left_out(text: str) -> None:
    assert framework_of(text) is None


@pytest.mark.parametrize(
    ("text", "kind", "location", "revision"),
    [
        ("{path: ./tools}", ProjectKind.FOLDER, "/home/me/my-app/tools", None),
        ("{path: ~/tools}", ProjectKind.FOLDER, "/home/me/tools", None),
        ("{git: 'https://example.org/t.git', rev: v1.2}", ProjectKind.GIT, "https://example.org/t.git", "v1.2"),
        ("{git: git@example.org:team/t.git, rev: 1.10}", ProjectKind.GIT, "git@example.org:team/t.git", "1.10"),
        (f"{{wheel: {WHEEL}}}", ProjectKind.WHEEL, "/home/me/my-app/dist/tools-1.0-py3-none-any.whl", None),
    ],
)
def test_another_source_takes_its_place(text: str, kind: ProjectKind, location: str, revision: str | None) -> None:
    found = framework_of(f"framework: {text}")
    assert found is not None
    assert found.python == PythonSource(kind=kind, location=location, revision=revision, prefix=FRAMEWORK_PREFIX)
    assert not found.from_profile


def test_an_npm_package_takes_its_place_and_brings_node() -> None:
    found = framework_of('framework: {npm: "@team/tools@1.2.3"}')
    assert found is not None
    assert found.npm is not None
    assert (found.npm.package, found.npm.version, found.npm.prefix) == ("@team/tools", "1.2.3", FRAMEWORK_PREFIX)
    assert found.path == ("/opt/framework/bin",)
    assert "node" in [tool.name for tool in resolve('framework: {npm: "@team/tools@1.2.3"}').tools]


def test_python_comes_with_a_framework_that_needs_it() -> None:
    resolved = resolve_config(make_config("profile: headless\nframework: {path: ./x}"), make_catalog(), FACTS)
    assert "python" in [tool.name for tool in resolved.tools]


def test_without_python_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="python is needed by"):
        resolve("tools: {python: false}")


@pytest.mark.parametrize("text", [None, "framework: none", f"framework: {{wheel: {WHEEL}}}", "framework: {ingest: no}"])
def test_what_was_understood_can_be_written_and_read_again(text: str | None) -> None:
    text = text.replace("no}", "false}") if text else text
    config = make_config(text)
    assert Config.model_validate(config_as_dict(config)) == config


def test_an_address_that_runs_a_program_is_refused() -> None:
    for address in ("ext::sh -c id", "-oProxyCommand=id", "https://me:secret@example.org/x", "file://../x"):
        with pytest.raises(ConfigError, match=r"Git repository|leaves its folder"):
            parse_config(f'framework: {{git: "{address}", rev: main}}', file="devbox.yaml", defaults=FACTS)


# --------------------------------------------------------------------------------------------------- how it runs


def test_the_service_can_be_switched_off_without_another_image() -> None:
    on, off = resolve(), resolve("framework: {ingest: false}")
    assert "DEVBOX_OFF" not in on.runtime.environment
    assert off.runtime.environment["DEVBOX_OFF"] == "ingest"
    assert plan_of(on).id == plan_of(off).id


def test_a_service_that_is_off_is_not_checked() -> None:
    on, off = framework_of(), framework_of("framework: {ingest: false}")
    assert on is not None
    assert off is not None
    assert [check.service for check in on.checks] == [None, "ingest"]
    assert [check.service for check in off.checks] == [None]


# ----------------------------------------------------------------------------------------------------- the plan


def project_of(tool: ResolvedTool, data: bytes = b"x") -> Project:
    return describe_tree({"pyproject.toml": RenderedFile(data=data)}, tool.name)


def plan_of(resolved: Resolved, projects: dict[str, Project] | None = None) -> Plan:
    base = BaseAnswer(name="debian-12", reference="debian:12", how=Retrieval.PULL, identity="debian@sha256:1")
    return make_plan(
        resolved,
        Answers(base=base, absent=(), substitutions=()),
        requested_base="debian-12",
        rootfs={"init/x": RenderedFile(data=b"x")},
        templates={},
        projects=projects or {tool.name: project_of(tool) for tool in resolved.tools if tool.python},
    )


def ids(plan: Plan) -> dict[str, str]:
    return {step.name: step.id for step in plan.steps}


def test_it_is_built_beside_everything_but_the_packages() -> None:
    plan = plan_of(resolve("apt: [htop]"))
    step = next(step for step in plan.steps if step.kind == "python")
    assert step.parents == (ids(plan)["apt"],)
    assert step.options == {"stage": "python-memory", "tree": "projects/memory", "prefix": "/opt/memory"}


def test_a_changed_source_changes_its_step_and_says_so() -> None:
    resolved = resolve()
    before, after = (plan_of(resolved, {"memory": project_of(resolved.tools[-1], data)}) for data in (b"1", b"2"))
    changed = {name for name, id in ids(before).items() if ids(after)[name] != id}
    assert changed == {"memory", "configure"}
    told = explain_difference({step.name: [step.id[:12], step.summary] for step in before.steps}, after)
    assert told == ("memory: its source changed", "configure: runs again, since what it stands on changed")


def test_the_folder_it_lies_in_is_not_in_the_id() -> None:
    here, there = (resolve(f"framework: {{path: {path}}}") for path in ("./tools", "/srv/tools"))
    project = describe_tree({"pyproject.toml": RenderedFile(data=b"x")}, "tools")
    assert len({plan_of(item, {"framework:path": project}).id for item in (here, there)}) == 1


def test_a_commit_and_a_wheel_are_known_by_what_they_hold() -> None:
    source = PythonSource(kind=ProjectKind.GIT, location="https://example.org/team/tools.git", prefix="/opt/x")
    assert describe_commit(source, COMMIT) == Project(identity=COMMIT, summary="tools aaaaaaaaaaaa")
    wheel = dataclasses.replace(source, location="/srv/tools-1.0-py3-none-any.whl")
    assert describe_wheel(wheel, "b" * 64).summary == "tools-1.0-py3-none-any.whl bbbbbbbbbbbb"


def test_a_python_tool_without_python_is_refused() -> None:
    resolved = resolve()
    without = tuple(tool for tool in resolved.tools if tool.name != "python")
    with pytest.raises(RenderError, match="memory is installed by pip, so it needs the tool python"):
        plan_of(dataclasses.replace(resolved, tools=without))


@pytest.mark.parametrize("path", ["pyproject.toml", "tools/cli.py", "tools/tests/data.txt", "src/build/x.py", "README"])
def test_what_a_project_is_made_of_is_taken(path: str) -> None:
    parts = path.split("/")
    assert all(is_wanted(parts[:depth]) for depth in range(1, len(parts) + 1))


@pytest.mark.parametrize(
    "path", [".git", ".venv", "venv", "tests", "build", "dist", "a/__pycache__", "a/b.pyc", "x.egg-info", "a/.cache"]
)
def test_what_is_made_from_it_is_left_out(path: str) -> None:
    assert not is_wanted(path.split("/"))
