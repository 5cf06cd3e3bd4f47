"""The corpus of bad input, data/bad: every case ends with exit code 2 and says what is wrong where, and nothing else.

All cases run through the real command line in this process; those that could make it hang also as a command.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from typer.main import get_command

from builder.cli import app, run
from builder.tasks import layout
from tests.golden.rendering import assets, catalog
from tests.unit.core.bad_cases import BadCase, load_cases, parse_findings

CASES: Final = load_cases()
CLASSES: Final = {
    "apt", "display", "dockerfile", "environment", "images", "jinja", "line-breaks", "locale", "mounts", "names", "npm",
    "options", "passwords", "paths", "pip", "ports", "resources", "shell", "ssh", "users", "yaml",
}  # fmt: skip
# A guard against what hangs, not a measurement: each takes some hundredths of a second (docs/security-input.md).
PATIENCE_S: Final = 20
LARGE: Final = [case for cases in CASES.values() for case in cases if len(case.text) > 9_000]
COMMAND: Final = get_command(app)  # made once: typer looks at every function for it


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace. The catalogue, which no case changes, is read once for all of them."""
    monkeypatch.setattr("builder.adapters.assets.load_assets", assets)
    monkeypatch.setattr(layout, "parse_catalog", lambda files, origins: catalog())
    monkeypatch.setenv("HOME", str(tmp_path))
    made = tmp_path / "my-app"
    made.mkdir()
    return made


def check(case: BadCase, code: int, out: str, err: str) -> None:
    assert case.expected, "the case expects nothing"
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    said = parse_findings(err)
    pairs = itertools.zip_longest(sorted(said), sorted(case.expected))
    assert all(one and other and one.meets(other) for one, other in pairs), f"{err}\nexpected: {case.expected}"


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases], ids=lambda case: case.name)
def test_bad_input_is_refused_with_its_place_and_reason(
    case: BadCase, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "devbox.yaml").write_bytes(case.text)
    code = run(lambda: COMMAND(["-C", str(folder), "config"], prog_name="devbox", standalone_mode=False))
    said = capsys.readouterr()
    check(case, code, said.out, said.err)


@pytest.mark.parametrize("case", [CASES["options"][0], *LARGE], ids=lambda case: case.name)
def test_bad_input_is_refused_by_the_command_at_once(case: BadCase, tmp_path: Path) -> None:
    (tmp_path / "devbox.yaml").write_bytes(case.text)
    argv = [sys.executable, "-m", "builder", "-C", str(tmp_path), "config"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    check(case, done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("verb", ["up", "plan", "render", "build", "verify", "config"])
def test_every_verb_refuses_it_before_it_asks_an_engine(
    verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
    (folder / "devbox.yaml").write_text("framework: {path: x}\nenvironment: {A: &a 2024-99-99}\nb: " + "[" * 5000)
    code = run(lambda: COMMAND(["-C", str(folder), verb], prog_name="devbox", standalone_mode=False))
    assert code == 2
    assert "nested deeper than 32 levels" in capsys.readouterr().err


def test_the_corpus_holds_every_class_and_enough_of_each() -> None:
    assert CASES.keys() == CLASSES
    assert {name: len(cases) for name, cases in CASES.items() if len(cases) < 10} == {}
    texts = [case.text for cases in CASES.values() for case in cases]
    assert len(set(texts)) == len(texts) >= 240, "a case is there twice"
