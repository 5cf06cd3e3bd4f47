"""The reference implementation of the dev container standard opens the workstation that devbox made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from builder.adapters.engine.client import Engine
from builder.adapters.fetch import fetch_tree
from builder.adapters.hostinfo import find_network_settings
from tests.engine.composes import CACHE, fetch_compose_2
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.debian_13 import fetch_packages
from tests.golden.rendering import resolve

CLI: Final = "@devcontainers/cli@0.89.0"
NODE: Final = "22"  # it wants 20 or newer


@dataclass(frozen=True, slots=True)
class Devcontainer:
    """The program `devcontainer`, with a Node.js, a docker client and a Compose of its own."""

    node: Path
    script: Path
    docker: Path
    compose: Path

    def __call__(self, workstation: Workstation, verb: str, *words: str) -> str:
        places = ["--docker-path", str(self.docker), "--docker-compose-path", str(self.compose)]
        folder = ["--workspace-folder", str(workstation.folder)]
        done = subprocess.run(
            [str(self.node), str(self.script), verb, *folder, *places, *words],
            env={**workstation.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"devcontainer {verb}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, workstation: Workstation, verb: str) -> Mapping[str, Any]:
        found = json.loads(self(workstation, verb).splitlines()[-1])
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def devcontainer() -> Devcontainer:
    """All of it is kept between sessions."""
    (tool,) = [tool for tool in resolve(f"tools: {{node: '{NODE}'}}\n").tools if tool.name == "node"]
    assert tool.wheel is not None
    settings = find_network_settings()
    tree = fetch_tree(tool.wheel, arch="amd64", cache=CACHE / "devbox", pip=settings.pip, ca=settings.ca_bundle)
    node = tree.root / "opt/node"
    folder = CACHE / "devcontainers-cli"
    script = folder / "node_modules/@devcontainers/cli/devcontainer.js"
    if not script.is_file():
        npm = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
        install = [*npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", CLI]
        subprocess.run(install, check=True, capture_output=True, timeout=120)
    docker = fetch_packages(CACHE / "docker-cli", "docker-cli") / "usr/bin/docker"
    return Devcontainer(node=node / "bin/node", script=script, docker=docker, compose=fetch_compose_2())


@pytest.mark.long  # it fetches a Node.js, the program and a docker client
def test_an_editor_opens_the_workstation_of_the_folder(
    devcontainer: Devcontainer, new_workstation: NewWorkstation, engine: Engine
) -> None:
    workstation = new_workstation("edited", "profile: headless\nbase: debian-12\n")
    workstation.ok("devcontainer")
    workstation.started = True  # by its initializeCommand

    told = devcontainer.read(workstation, "up")

    container = workstation.container(engine)
    assert told["outcome"] == "success"
    assert (told["containerId"], told["composeProjectName"]) == (container.id, "edited")
    assert (told["remoteUser"], told["remoteWorkspaceFolder"]) == ("dev", "/home/dev/projects")
    read = devcontainer.read(workstation, "read-configuration")
    assert read["workspace"]["workspaceFolder"] == "/home/dev/projects"
    assert read["configuration"]["service"] == "workstation"
    label = f"dev.devbox.workspace={workstation.folder}"
    inside = devcontainer(workstation, "exec", "--id-label", label, "sh", "-c", "id -un; pwd; command -v node")
    assert inside.split() == ["dev", "/home/dev/projects", "/opt/node/bin/node"]
    assert "nothing to do" in workstation.up().stdout
    assert workstation.container(engine).id == container.id
