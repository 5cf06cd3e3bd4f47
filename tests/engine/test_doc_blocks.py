"""The documents' commands that need a workstation, one after the other on one with a catalogue of its own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.doc_blocks import ON_A_WORKSTATION, find_blocks
from tests.engine.conftest import NewWorkstation, Workstation

CONFIG = "profile: headless\nbase: debian-12\ncatalogue: own\ntools: [mine]\n"
# The tool that docs/own-tools.md shows.
(TOOL,) = [block.text for block in find_blocks() if block.text.startswith("# catalogue/tools/mine.yaml")]


def test_the_commands_of_the_documents_work_on_a_workstation(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("documents", CONFIG)
    workstation.started = True
    write_catalogue(workstation.folder / "own")
    for command in ON_A_WORKSTATION:
        if command == "devbox down --volumes":
            look_at_its_load(workstation)
            look_at_its_json(workstation)
            assert workstation.inside("mine", "--version") == "mine 1.2.3\n"
        words = shlex.split(command)[1:]
        if "--output" in words:
            words[-1] = str(workstation.folder / words[-1])
        if words[0] == "down":
            words.append("--yes")  # where a person types the name; tests/engine/test_backup.py types it
        told = workstation.ok(*words)
        assert told or "--output" in words, command
    assert {path.name for path in workstation.folder.glob("image.*")} == {"image.cdx.json", "image.spdx.json"}


def write_catalogue(folder: Path) -> None:
    """A tool that is one program; `verify` checks it as it checks ours."""
    program = folder / "rootfs/mine/usr/local/bin/mine"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho mine 1.2.3\n")
    program.chmod(0o755)
    (folder / "tools").mkdir()
    (folder / "tools/mine.yaml").write_text(TOOL)


def look_at_its_json(workstation: Workstation) -> None:
    """Of the verbs that act: data alone on stdout."""

    def told(*words: str) -> dict[str, object]:
        found = json.loads(workstation.ok(*words, "--json"))
        assert isinstance(found, dict)
        return found

    image = str(workstation.status()["image"])
    assert told("build") == {"image": image, "how": "here"}
    assert ".workstation/compose.yaml" in str(told("render")["files"])
    assert told("stop") == {"name": "documents", "changed": True}
    assert told("stop") == {"name": "documents", "changed": False}
    assert told("start")["state"] == "running"
    copied = told("cp", str(workstation.folder / "own"), ":projects")
    assert copied["target"] == ":projects/own"
    (workstation.folder / "back").mkdir()
    workstation.ok("cp", ":projects/own/.", str(workstation.folder / "back"))
    assert (workstation.folder / "back/tools/mine.yaml").read_text() == TOOL
    refused = workstation.run("cp", str(workstation.folder / "own"), ":/etc")
    assert (refused.returncode, "Permission denied" in refused.stderr) == (5, True)
    refused = workstation.run("down", "--volumes", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told("explain")["image"] == image


def look_at_its_load(workstation: Workstation) -> None:
    """`devbox top`, as the engine measures one that runs."""
    (found,) = [load for load in json.loads(workstation.ok("top", "--json")) if load["name"] == "documents"]
    assert 1_000_000 < found["memory_bytes"] < found["memory_limit_bytes"]
    assert found["disk_bytes"] > 1000
    assert found["workspace"] == str(workstation.folder)
    assert "documents  running" in workstation.ok("top")
