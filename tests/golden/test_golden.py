"""Every folder here is a case: `devbox.yaml` (its first lines say why it is here) and what is rendered from it.

A case holds the Dockerfile, compose.yaml and the plan as `devbox plan` lists it; one with a `devbox-lock.json` is
rendered with what that answers. What it must not hold is anything that
changes with the contents of images/rootfs: one edit of a service script would change every case, and nobody would read
such a diff. So ids that hash file contents are written as the name of what they stand for (`<plan>`, `<spec>`,
`<apt>`), and the files of rootfs are not listed: their number is masked, their contents are checked by shellcheck and
by the engine tests. `make golden` rewrites all cases; read the diff before you commit it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from builder.core.lock import Lock, explain_stale, make_wanted
from builder.core.lock_file import dump_lock, parse_lock
from tests.golden.rendering import Rendered, render, resolve

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/devbox.yaml"))
FILES = ("Dockerfile", "compose.yaml", "plan.txt")
LOCK = "devbox-lock.json"
LOCKED = [case for case in CASES if (case / LOCK).is_file()]


def mask(text: str, rendered: Rendered) -> str:
    """`text` without what follows from the contents of images/rootfs."""
    plan = rendered.plan
    text = text.replace(plan.id, "<plan>").replace(plan.id[:12], "<plan>")
    for step in plan.steps:
        text = text.replace(step.id[:12], f"<{step.name}>")
    text = re.sub(r"(dev\.devbox\.spec: )\"[0-9a-f]{64}\"", r'\1"<spec>"', text)
    return re.sub(r"\d+ files of devbox", "<n> files of devbox", text)


def list_plan(rendered: Rendered) -> str:
    steps = rendered.plan.steps
    names = {step.id: step.name for step in steps}
    lines = [f"image {rendered.plan.image}"]
    for step in steps:
        below = " ".join(names[parent] for parent in step.parents)
        lines.append(f"{step.kind:<9}  {step.name:<24}  {step.summary}" + (f"  <- {below}" if below else ""))
    lines += [f"instead: {item}" for item in rendered.plan.substitutions]
    return "\n".join(lines) + "\n"


def read_lock(case: Path) -> Lock | None:
    return parse_lock((case / LOCK).read_bytes()) if case in LOCKED else None


def expected_files(case: Path) -> dict[str, str]:
    rendered = render((case / "devbox.yaml").read_text(encoding="utf-8"), lock=read_lock(case))
    found = {"Dockerfile": rendered.dockerfile, "compose.yaml": rendered.compose, "plan.txt": list_plan(rendered)}
    return {name: mask(text, rendered) for name, text in found.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_renders_as_it_was_reviewed(case: Path, update: bool) -> None:
    found = expected_files(case)
    if update:
        for name, text in found.items():
            (case / name).write_text(text, encoding="utf-8")
    for name in FILES:
        path = case / name
        assert path.is_file(), f"{path} is missing: `make golden` writes it"
        assert found[name] == path.read_text(encoding="utf-8"), f"{path} differs: `make golden`, then read the diff"


@pytest.mark.parametrize("case", LOCKED, ids=lambda case: case.name)
def test_a_lock_is_as_devbox_writes_it_and_fits_its_case(case: Path, update: bool) -> None:
    lock = read_lock(case)
    assert lock is not None
    text = (case / "devbox.yaml").read_text(encoding="utf-8")
    wanted = make_wanted(resolve(text), resolve(text, base=lock.base.name))
    if update:
        (case / LOCK).write_bytes(dump_lock(replace(lock, wanted=wanted)))
        return
    assert explain_stale(lock, wanted) == ()
    assert dump_lock(lock) == (case / LOCK).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_why_it_is_there(case: Path) -> None:
    first = (case / "devbox.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# why: .{20,}", first)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rendering_twice_is_byte_identical(case: Path) -> None:
    text = (case / "devbox.yaml").read_text(encoding="utf-8")
    first, second = render(text), render(text)
    assert (first.tree, first.compose, first.plan) == (second.tree, second.compose, second.plan)
    assert list(first.tree) == sorted(first.tree)


def test_the_folders_are_cases_and_nothing_else() -> None:
    folders = {path for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(CASES)
    assert {path.name for case in CASES for path in case.iterdir()} == {*FILES, "devbox.yaml", LOCK}
