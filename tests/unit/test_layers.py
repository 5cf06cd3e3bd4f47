"""Holds the import directions of docs/architecture.md over the syntax tree, so that no cycle of knowledge grows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "builder"

# Who may import which part of the package (and itself). The composition root may import everything.
ALLOWED = {
    "redaction": set(),
    "errors": set(),
    "views": set(),
    "model": {"errors"},
    "core": {"errors", "views", "model"},
    "adapters": {"errors", "views", "model", "core"},  # core: pure functions and values only
    "tasks": {"errors", "views", "model", "core"},
    "console": {"errors", "model", "core"},
    "suite": {"errors", "views", "model", "core", "adapters"},
    "cli": {"errors", "model", "core", "adapters", "tasks", "console", "suite", "wiring", "shortcut"},
    "wiring": {"errors", "model", "core", "adapters", "tasks", "console", "suite"},
    "recall": set(),
    "shortcut": {"errors", "views", "core", "adapters", "tasks", "recall"},
    "crash": {"core", "adapters"},
    "__main__": {"errors", "cli", "crash", "recall", "shortcut"},
    "__init__": set(),
}
EFFECTS = {
    "docker",
    "paramiko",
    "requests",
    "testinfra",
    "subprocess",
    "socket",
    "http",
    "urllib",
    "shutil",
    "tempfile",
}
IMPURE_FOR_CORE = EFFECTS | {"os", "time", "random", "secrets", "pathlib", "datetime", "io"}
# What belongs to one package each: the engine's SDK, and the forms of a bill of materials.
OWNERS = {
    "docker": "builder/adapters/engine",
    "requests": "builder/adapters/engine",
    "h2": "builder/adapters/buildkit_session.py",
    "cyclonedx": "builder/adapters/sbom",
    "spdx_tools": "builder/adapters/sbom",
}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "data" not in path.relative_to(ROOT).parts)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("builder.") and len(name.split(".")) > 1}
    assert ours - {part, "redaction"} <= ALLOWED[part]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_effects_stay_in_the_adapters(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports_of(path)}
    match part_of(path):
        case "core" | "model" | "views" | "errors" | "redaction":
            assert not imported & IMPURE_FOR_CORE
        case "tasks" | "console":
            assert not imported & EFFECTS


@pytest.mark.parametrize(("package", "owner"), OWNERS.items())
def test_sdk_is_imported_by_its_adapter_alone(package: str, owner: str) -> None:
    users = {
        str(path.relative_to(ROOT.parent))
        for path in modules()
        if package in {name.split(".")[0] for name in imports_of(path)}
    }
    assert users
    assert all(user.startswith(owner) for user in users)
