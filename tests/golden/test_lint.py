"""The rendered Dockerfiles before the eyes of others: hadolint, and the parser of Docker itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dockerfile
import yaml

from tests.golden.test_golden import CASES

ROOT = Path(__file__).parents[2]


def test_hadolint_finds_nothing_in_any_case() -> None:
    tool = Path(sys.executable).parent / "hadolint"
    files = [str(case / "Dockerfile") for case in CASES]
    result = subprocess.run(
        [str(tool), "--no-color", "--config", str(ROOT / ".hadolint.yaml"), *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_dockers_own_parser_reads_every_case() -> None:
    for case in CASES:
        instructions = dockerfile.parse_file(str(case / "Dockerfile"))
        stages = [item.value[2] for item in instructions if item.cmd.upper() == "FROM"]
        assert stages[0] == "base"
        assert stages[-1] == "workstation"
        assert len(stages) == len(set(stages)), f"two stages of {case.name} have the same name"


def test_every_compose_file_is_yaml_of_one_service() -> None:
    for case in CASES:
        found = yaml.safe_load((case / "compose.yaml").read_text(encoding="utf-8"))
        assert list(found["services"]) == ["workstation"]
        assert sorted(found) == ["name", "networks", "services", "volumes"]
