"""What npm and pip are asked, what stays of a lock, and that the build is held to the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest

from builder.core.lock import check_integrity
from builder.core.lock_file import dump_lock
from builder.errors import BuildError, LockError
from builder.model import Base, RenderedFile, ResolvedTool
from builder.tasks.demand import USE, Demand
from builder.tasks.interfaces import Progress
from builder.tasks.prepare import Prepared, prepare
from builder.tasks.relock import write_lock
from tests.unit.tasks.fakes import FakeEngine, FakeSources, World

BASE = "base: debian-12\n"
FOLDER = f"{BASE}framework: {{path: ./tools}}\n"


def locked(config: str = BASE) -> World:
    world = World(config)
    write_lock(world.context(), Demand())
    world.engine.closure_questions.clear()
    return world


def plan(world: World, demand: Demand = USE) -> Prepared:
    return prepare(world.context(), demand=demand)


def asked(world: World, whom: str) -> list[str]:
    """The stages of the question to npm or pip."""
    text = "".join(
        tree["Dockerfile"].data.decode() for tag, tree in world.engine.closure_questions.items() if tag.endswith(whom)
    )
    return re.findall(r"AS ((?:npm|python)[-.]\S+)", text)


@dataclass
class OneAfterTheOther(FakeSources):
    """Here the base is there once Node is."""

    node: Event = field(default_factory=Event)

    def fetch_tree(self, tool: ResolvedTool, arch: str, on_progress: Progress) -> Path:
        if tool.name == "node":
            self.node.set()
        return super().fetch_tree(tool, arch, on_progress)

    def bootstrap(self, base: Base, arch: str, target: Path, on_line: Callable[[str], None]) -> tuple[str, ...]:
        assert self.node.wait(10)
        return super().bootstrap(base, arch, target, on_line)


def test_node_comes_while_the_base_is_bootstrapped() -> None:
    world = World(BASE, engine=FakeEngine(), sources=OneAfterTheOther())
    write_lock(world.context(), Demand())
    assert world.lock.npm


def test_npm_is_asked_for_every_package_and_the_build_gets_a_lock_without_addresses() -> None:
    world = locked(f"{BASE}npm: [typescript@5.4.5]\n")
    found = {tool: [item.version for item in closure] for tool, closure in world.lock.npm.items()}
    assert found == {"claude-code": ["2.0.76"], "npm:typescript": ["5.4.5"]}
    tree = plan(world).image_tree
    told = json.loads(tree["locked/npm.typescript/package-lock.json"].data)
    assert told["packages"]["node_modules/typescript"] == {"version": "5.4.5", "integrity": "sha512-545"}
    assert b"npm-install" in tree["Dockerfile"].data
    assert asked(world, "npm") == []


def test_another_version_is_asked_and_the_rest_stays() -> None:
    world = locked(f"{BASE}npm: [typescript@5.4.5]\n")
    before = plan(world)
    world.config = f"{BASE}npm: [typescript@5.4.6]\n"
    after = plan(world)
    assert asked(world, "npm") == ["npm.typescript"]
    ids = {step.name: step.id for step in before.plan.steps}
    changed = {step.name for step in after.plan.steps if step.id != ids[step.name]}
    assert changed == {"npm:typescript", "configure"}


def test_an_update_by_name_asks_that_tool_alone() -> None:
    world = locked(f"{BASE}npm: [typescript@5.4.5]\n")
    plan(world, Demand(update=("claude-code",)))
    assert asked(world, "npm") == ["npm-claude-code"]


def test_another_integrity_in_the_lock_is_another_image() -> None:
    world = locked()
    before = plan(world).plan
    (package,) = world.lock.npm["claude-code"]
    other = replace(world.lock, npm={"claude-code": (replace(package, integrity="sha512-other"),)})
    world.workspace.lock_file = dump_lock(other)
    assert plan(world).plan.image != before.image


def test_an_integrity_other_than_the_catalogues_is_refused_by_name() -> None:
    world = locked()
    resolved = plan(world).resolved
    tools = tuple(
        replace(tool, npm=replace(tool.npm, integrity="sha512-pinned")) if tool.npm else tool for tool in resolved.tools
    )
    with pytest.raises(LockError, match=r"another @anthropic-ai/claude-code@2\.0\.76 than the catalogue pins"):
        check_integrity(world.lock, replace(resolved, tools=tools))


def test_a_lock_without_the_closure_of_a_package_is_stale() -> None:
    world = locked()
    world.workspace.lock_file = dump_lock(replace(world.lock, npm={}))
    with pytest.raises(LockError, match="what claude-code needs is not locked"):
        plan(world, Demand(frozen=True))


def test_a_package_that_npm_does_not_have_is_told_by_where_it_was_asked_for() -> None:
    world = World(f"{BASE}npm: [typescript@5.4.5]\n")
    world.engine.closure_error = BuildError("exit code: 1", where="[npm.typescript 4/4] RUN x", detail="E404")
    with pytest.raises(BuildError, match="the step `npm:typescript` failed") as caught:
        plan(world)
    assert caught.value.where == "devbox.yaml"
    assert caught.value.detail == "E404"


def test_a_failed_question_to_apt_ends_that_to_npm() -> None:
    world = World(BASE)
    world.engine.npm_is_slow = True
    world.engine.mirror.error = BuildError("exit code 100")
    with pytest.raises(BuildError, match="the package mirror cannot be asked"):
        plan(world)
    assert world.engine.cancelled.is_set()
    assert world.stopped


# --------------------------------------------------------------------------------------------------------- Python


def test_pip_is_asked_what_a_project_needs_and_the_build_is_held_to_it() -> None:
    world = locked(FOLDER)
    assert [(item.name, item.build) for item in world.lock.python["framework:path"]] == [
        ("tabulate", False),
        ("hatchling", True),
    ]
    tree = plan(world).image_tree
    assert (
        tree["locked/python-framework-path/constraints.txt"].data
        == b"tabulate==0.9.0 --hash=sha256:" + b"0" * 64 + b"\n"
    )
    assert b"hatchling==1.0" in tree["locked/python-framework-path/constraints-build.txt"].data


def test_a_package_below_pips_question_that_is_gone_is_told_with_the_nearest() -> None:
    world = locked(FOLDER)
    world.sources.project = b"[project]\nname = 'other'"
    world.engine.mirror.gone = {"git=1.0"}
    with pytest.raises(LockError, match=r"no package mirror has git 1\.0 any more"):
        plan(world)


def test_changed_code_is_another_image_and_no_other_question() -> None:
    world = locked(FOLDER)
    before = plan(world).plan
    world.sources.project_files = {"tools/main.py": RenderedFile(data=b"print()")}
    assert plan(world).plan.image != before.image
    assert asked(world, "pip") == []


def test_a_changed_pyproject_is_another_question() -> None:
    world = locked(FOLDER)
    world.sources.project = b"[project]\nname = 'other'"
    plan(world)
    assert asked(world, "pip") == ["python-framework-path"]


def test_a_moved_revision_is_another_question() -> None:
    world = locked(f"{BASE}framework: {{git: 'https://example.org/tools.git', rev: v1}}\n")
    world.sources.commits["v1"] = "d" * 40
    plan(world, Demand(again=True))
    assert asked(world, "pip") == ["python-framework-git"]


def test_a_project_that_pins_by_hash_is_taken_at_its_word() -> None:
    world = World(FOLDER)
    pin = b"pyyaml==6.0.3 --hash=sha256:" + b"a" * 64 + b"\n"
    world.sources.project_files = {
        "constraints.txt": RenderedFile(data=pin),
        "constraints-build.txt": RenderedFile(data=pin),
    }
    found = plan(world).lock
    assert found is not None
    assert [(item.name, item.build) for item in found.python["framework:path"]] == [("pyyaml", False), ("pyyaml", True)]
    assert asked(world, "pip") == []
