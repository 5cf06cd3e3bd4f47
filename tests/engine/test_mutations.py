"""A workstation that was broken on purpose fails with the checks that are for it, and no other; a sound one, none."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine
from builder.model import Mount, RenderedFile, ServiceSpec
from builder.suite import hands_on, resources
from builder.suite.cases import Case
from builder.suite.registry import GROUPS, collect_cases
from builder.suite.results import Result, Verdict
from builder.suite.runner import run_cases
from builder.suite.session import Wanted, open_image
from builder.suite.subject import Subject
from builder.suite.verify import verify
from builder.wiring import make_context, make_wanted
from tests.engine.conftest import ROOT, NewWorkstation
from tests.engine.mutations import MUTATIONS, Edit, Mutation

ROOTFS = ROOT / "images/rootfs"
MEASURED = ("resources", "timing")  # a busy machine is no false alarm
LONG_RUNS = 20


@pytest.fixture(scope="module")
def wanted(session_workstations: NewWorkstation) -> Wanted:
    """A default workstation, of which only the image is made: it is that of all the others."""
    workstation = session_workstations("mutated")
    workstation.ok("build")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, workstation.environment[name])
        return make_wanted(make_context(workstation.folder, lambda event: None, workstation.environment))


# ------------------------------------------------------------------------------------------------ how one is broken


@contextmanager
def open_broken(engine: Engine, wanted: Wanted, mutation: Mutation, folder: Path) -> Iterator[Subject]:
    """A throw-away with what `mutation` says."""
    wanted = mutation.promise(wanted)
    mounts = tuple(edit_files(mutation.edits, folder / "edited"))

    def tweak(spec: ServiceSpec) -> ServiceSpec:
        spec = replace(spec, mounts=(*spec.mounts, *mounts))
        return mutation.spec(spec) if mutation.spec else spec

    with ExitStack() as stack:
        image = stack.enter_context(built(engine, wanted.plan.image, mutation.layer))
        subject = stack.enter_context(open_image(engine, wanted, image, tweak=tweak))
        subject.output("sh", "-c", mutation.inside, root=True)
        rendered = folder / "rendered"
        rendered.mkdir()
        yield mutation.subject(subject, rendered)


def edit_files(edits: tuple[Edit, ...], folder: Path) -> Iterator[Mount]:
    """Each file with its edits, mounted over that of the image."""
    for name in dict.fromkeys(edit.file for edit in edits):
        source = ROOTFS / name
        text = source.read_text()
        for edit in edits:
            if edit.file == name:
                assert edit.old in text, f"{name} has no {edit.old!r} any more"
                text = text.replace(edit.old, edit.new)
        part, _, path = name.partition("/")
        changed = folder / part / path
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text(text)
        changed.chmod(source.stat().st_mode)
        yield Mount(source=str(changed), target=f"/{path}", read_only=True)


@contextmanager
def built(engine: Engine, image: str, layer: str) -> Iterator[str]:
    """`image`, or one with another layer on top of it that is gone in the end."""
    if not layer:
        yield image
        return
    tag = f"devbox-mutation:{secrets.token_hex(4)}"
    dockerfile = f"FROM {image}\n{layer}\n".encode()
    engine.build({"Dockerfile": RenderedFile(data=dockerfile)}, {}, tag, lambda event: None)
    try:
        yield tag
    finally:
        engine.remove_image(tag, force=True)


def is_run(case: Case, mutation: Mutation) -> bool:
    """The checks that type take up to ten seconds where nothing can be typed: only those that are named."""
    return case not in hands_on.CASES or case.id in mutation.hands


# ------------------------------------------------------------------------------------------------------- the tests


@pytest.mark.parametrize("mutation", [pytest.param(item, id=item.id.replace(" ", "-")) for item in MUTATIONS])
def test_what_is_broken_is_caught_by_exactly_the_right_check(
    engine: Engine, wanted: Wanted, mutation: Mutation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is broken on purpose does not get well by waiting.
    monkeypatch.setattr(resources, "SETTLE_S", 2.0)
    monkeypatch.setattr(hands_on, "TYPED_S", 4.0)
    monkeypatch.setattr(hands_on, "WINDOW_S", 6.0)
    with open_broken(engine, wanted, mutation, tmp_path) as subject:
        cases = [case for case in collect_cases(subject, mutation.groups) if is_run(case, mutation)]
        results = run_cases(cases, subject, lambda event: None, strict=mutation.strict)

    assert told(results) == sorted(mutation.caught), explain(results)
    assert {case.id for case in cases} > set(mutation.caught) or len(cases) == 1


def told(results: tuple[Result, ...]) -> list[str]:
    return sorted(item.id for item in results if item.verdict is Verdict.FAILED)


def explain(results: tuple[Result, ...]) -> str:
    failed = [item for item in results if item.verdict is Verdict.FAILED]
    return "\n".join(f"{item.id}: expected {item.expected}, found {item.found}" for item in failed) or "nothing failed"


def test_a_sound_workstation_raises_no_alarm(engine: Engine, wanted: Wanted) -> None:
    assert_sound(engine, wanted, [name for name in GROUPS if name not in (*MEASURED, "health")])


@pytest.mark.long
@pytest.mark.parametrize("run", range(1, LONG_RUNS + 1))
def test_a_sound_workstation_never_raises_an_alarm(engine: Engine, wanted: Wanted, run: int) -> None:
    assert_sound(engine, wanted, [name for name in GROUPS if name not in MEASURED])


def assert_sound(engine: Engine, wanted: Wanted, groups: list[str]) -> None:
    with open_image(engine, wanted, wanted.plan.image) as subject:
        report = verify(subject, groups)

    assert report.failures == (), explain(report.results)
    assert report.count(Verdict.PASSED) > 70


def test_names_of_mutations_are_unique() -> None:
    assert len({item.id for item in MUTATIONS}) == len(MUTATIONS) >= 25
