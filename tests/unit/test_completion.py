"""What a shell completes, asked as bash asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.adapters.installation import data_root
from builder.cli import completion
from tests.unit.adapters.scripted_engine import reply, scripted_engine


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("devbox tool show no", ["node", "novnc"]),
        ("devbox open ", ["dev", "ssh", "vnc", "web"]),
        ("devbox password b", ["backup"]),
        ("devbox schema t", ["tool"]),
        ("devbox rest", ["restore"]),
    ],
)
def test_a_shell_is_offered_what_fits(line: str, offered: list[str], tmp_path: Path) -> None:
    words = line.split(" ")
    asked = {
        "_DEVBOX_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
        "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
    }  # fmt: skip
    program = "import sys; sys.argv[0] = 'devbox'; from builder.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_the_words_that_are_offered_are_those_that_are_taken() -> None:
    from builder.core.ci_template import CI_FILES
    from builder.core.schema import MODELS

    assert set(completion.SCHEMAS) == set(MODELS)
    assert set(completion.SYSTEMS) == set(CI_FILES)
    assert completion.complete_tool("") == sorted(path.stem for path in (data_root() / "images/tools").glob("*.yaml"))


def test_without_an_engine_no_workstation_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert completion.complete_workstation("") == []


def test_the_workstations_of_the_engine_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        {
            "Id": name, "Names": [f"/{name}-workstation-1"], "State": "running", "Status": "", "Image": "i",
            "ImageID": "2", "Created": 0, "Ports": [], "Labels": {"com.docker.compose.project": name},
        }
        for name in ("web", "api", "worker")
    ]  # fmt: skip
    with scripted_engine(tmp_path, {"/containers/json": reply(found)}) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert completion.complete_workstation("w") == ["web", "worker"]
