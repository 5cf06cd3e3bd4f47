"""devcontainer.json names the container of compose.yaml, and nothing of one machine."""

from __future__ import annotations

import json

import pytest

from builder.core.clues import read_clues
from builder.core.devcontainer import DEVCONTAINER, MARK, render_devcontainer
from builder.core.proposal import make_proposal
from tests.golden.rendering import FACTS, assets, catalog, resolve


def read(text: str, file: str = DEVCONTAINER) -> dict[str, object]:
    runtime = resolve(text).runtime
    rendered = render_devcontainer(runtime, workspace=FACTS.workspace, static=assets().service, file=file)
    assert rendered.startswith(MARK)
    assert FACTS.home not in rendered
    found = json.loads("\n".join(line for line in rendered.splitlines() if not line.startswith("//")))
    assert isinstance(found, dict)
    return found


def test_it_is_the_workstation_of_the_folder() -> None:
    assert read("name: mine\nuser: alice\nports: {dev: [3000, '8080:5173']}\n") == {
        "name": "mine",
        "initializeCommand": ["devbox", "up"],
        "dockerComposeFile": "../.workstation/compose.yaml",
        "service": "workstation",
        "workspaceFolder": "/home/alice/projects",
        "remoteUser": "alice",
        "updateRemoteUserUID": False,
        "overrideCommand": False,
        "shutdownAction": "none",
        "forwardPorts": [6080, 3000, 5173],
        "portsAttributes": {
            "6080": {"label": "desktop", "onAutoForward": "silent"},
            "3000": {"label": "dev", "onAutoForward": "silent"},
            "5173": {"label": "dev-5173", "onAutoForward": "silent"},
        },
    }


def test_a_folder_that_is_mounted_is_the_one_that_the_editor_opens() -> None:
    assert read("mounts: [{source: ., target: /srv/app}]\n")["workspaceFolder"] == "/srv/app"
    assert read("mounts: [{source: ./data, target: /srv/app}]\n")["workspaceFolder"] == "/home/dev/projects"


@pytest.mark.parametrize(
    ("file", "compose"),
    [
        (".devcontainer.json", ".workstation/compose.yaml"),
        (".devcontainer/devbox/devcontainer.json", "../../.workstation/compose.yaml"),
    ],
)
def test_compose_yaml_is_found_from_every_place(file: str, compose: str) -> None:
    assert read("", file)["dockerComposeFile"] == compose


def test_init_learns_nothing_from_a_file_of_ours() -> None:
    text = render_devcontainer(resolve("").runtime, workspace=FACTS.workspace, static=assets().service)
    assert make_proposal(read_clues({DEVCONTAINER: text}), catalog(), FACTS).taken == ()
