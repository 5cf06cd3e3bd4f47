"""The main job: from an empty folder to a usable desktop, and every verb on it afterwards."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from PIL import Image

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.told import assert_told_once

PHASES = {"x", "wm", "panel", "desktop", "rfb", "web", "ssh", "frame"}


@pytest.mark.engines
def test_up_in_an_empty_folder_ends_with_a_painted_desktop(shared: Workstation, tmp_path: Path) -> None:
    status = shared.status()

    assert status["state"] == "running"
    assert status["name"] == "shared"
    assert status["requested_base"] == "ubuntu-22.04"
    ready = status["ready"]
    assert isinstance(ready, dict)
    assert ready.keys() >= PHASES
    picture = tmp_path / "desktop.png"
    shared.ok("screenshot", str(picture))
    with Image.open(picture) as image:
        assert image.size == (1920, 1080)
        colours = image.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 50


def test_substitutions_are_said_and_shown(shared: Workstation) -> None:
    status = shared.status()
    substitutions = status["substitutions"]
    assert isinstance(substitutions, list)

    substituted = {item["what"] for item in substitutions}
    assert ("base" in substituted) == (status["base"] != status["requested_base"])


@pytest.mark.engines
def test_second_up_finds_nothing_to_do(shared: Workstation, engine: Engine) -> None:
    before = shared.container(engine)

    again = shared.up()

    assert "nothing to do" in again.stdout
    assert shared.container(engine).id == before.id


@pytest.mark.engines
def test_a_command_that_is_not_there_is_told_in_our_words(shared: Workstation) -> None:
    for command, words in (("no-such", "there is no command no-such in"), ("/etc/passwd", "permission denied")):
        done = shared.run("exec", command)
        assert (done.returncode, done.stdout) == (127, "")
        assert words in done.stderr.splitlines()[0]
        assert "\nhint: " in done.stderr
    for code in ("126", "127"):  # somebody else's
        assert shared.run("exec", "--", "sh", "-c", f"echo OCI runtime exec failed; exit {code}").returncode == int(
            code
        )


@pytest.mark.engines
def test_status_names_every_door(shared: Workstation) -> None:
    endpoints = shared.status()["endpoints"]
    assert isinstance(endpoints, dict)

    assert endpoints.keys() >= {"vnc", "web", "ssh", "dev"}
    for door in ("vnc", "web", "ssh"):
        with socket.create_connection(("127.0.0.1", shared.port(door)), timeout=5):
            pass


def test_status_needs_no_sound_config(shared: Workstation) -> None:
    """What runs can be seen while devbox.yaml is being edited."""
    config = shared.folder / "devbox.yaml"
    assert not config.exists()
    config.write_text("nonsense: [")
    try:
        assert shared.ok("status").startswith("shared is running")
        assert shared.status()["ready"]
    finally:
        config.unlink()


def test_list_shows_it(shared: Workstation) -> None:
    names = [item["name"] for item in json.loads(shared.ok("list", "--json"))]
    assert "shared" in names


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        (("python3", "--version"), r"Python 3\.(1[0-9])\."),
        (("node", "--version"), r"v18\."),
        (("npm", "--version"), r"\d+\.\d+"),
        (("git", "--version"), r"git version 2\.(2[5-9]|[3-9]\d)"),
        (("claude", "--version"), r"2\.0\.76"),
        (("zsh", "-ic", "print -r -- $SHELL $options[interactive]"), r"/zsh on"),
        (("sudo", "-n", "id", "-u"), r"^0$"),
        (("id", "-un"), r"^dev$"),
        (("python3", "-m", "venv", "/tmp/venv-test"), r"^$"),
        (("jq", "--version"), r"jq-"),
        (("rg", "--version"), r"ripgrep"),
        (("curl", "--version"), r"curl"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_tools_are_there(shared: Workstation, command: tuple[str, ...], pattern: str) -> None:
    assert re.search(pattern, shared.inside(*command).strip())


@pytest.mark.engines
def test_exec_hands_on_exit_code_and_streams(shared: Workstation) -> None:
    done = shared.run("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 42")

    assert (done.returncode, done.stdout) == (42, "out\n")
    assert "err" in done.stderr


@pytest.mark.engines
def test_logs_of_a_service(shared: Workstation) -> None:
    assert shared.ok("logs", "--tail", "5", "xvnc")
    unknown = shared.run("logs", "nonsense")
    assert unknown.returncode == 2
    assert "xvnc" in unknown.stderr


@pytest.mark.engines
def test_password_is_in_no_place_but_its_file(shared: Workstation, engine: Engine) -> None:
    password = shared.password()
    container = shared.container(engine)

    places = {
        "inspect": json.dumps(engine.inspect(container.id)),
        "logs": shared.ok("logs"),
        "rendered": "".join(path.read_text() for path in (shared.folder / ".workstation").glob("*.*")),
        "argv": shared.inside("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        "environment": shared.inside("env"),
    }
    assert [name for name, text in places.items() if password in text] == []


@pytest.mark.engines
def test_stop_and_start_keep_the_home(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("stopping")
    workstation.up()
    workstation.inside("sh", "-c", "echo kept > ~/projects/file; echo kept > ~/file")
    workstation.ok("stop")
    assert workstation.status()["state"] == "exited"

    workstation.ok("start")
    assert workstation.inside("sh", "-c", "cat ~/projects/file ~/file").split() == ["kept", "kept"]

    workstation.ok("down")
    assert workstation.status()["state"] == "absent"
    workstation.up()
    assert workstation.inside("sh", "-c", "cat ~/projects/file ~/file").split() == ["kept", "kept"]


def test_geometry_changes_without_a_rebuild(new_workstation: NewWorkstation, engine: Engine, tmp_path: Path) -> None:
    workstation = new_workstation("geometry", "desktop: {geometry: 1280x720, dpi: 120}\n")
    workstation.up()
    assert_told_once(workstation, dpi=120)
    before = workstation.container(engine)

    workstation.write("desktop: {geometry: 1024x768, depth: 16}\n")
    changed = workstation.up()

    after = workstation.container(engine)
    assert after.id != before.id
    assert after.image_id == before.image_id
    assert "build" not in changed.stderr
    workstation.ok("screenshot", str(tmp_path / "small.png"))
    with Image.open(tmp_path / "small.png") as image:
        assert image.size == (1024, 768)


@pytest.mark.engines
def test_added_tool_rebuilds_only_itself_and_says_why(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("growing")
    workstation.up()
    workstation.write("apt: [figlet]\n")
    # An earlier session may have kept it, and what is there need not be built.
    engine.remove_image(json.loads(workstation.ok("plan", "--json"))["image"], force=True)

    changed = workstation.up()

    assert "figlet is new" in changed.stderr
    assert re.search(r"= apt: .* unchanged", changed.stderr), changed.stderr
    assert workstation.inside("figlet", "-v")


def test_two_workstations_share_the_machine(shared: Workstation, new_workstation: NewWorkstation) -> None:
    second = new_workstation("second")

    done = second.up()

    assert second.port("vnc") != shared.port("vnc")
    assert "is taken by" in done.stderr
    assert shared.up().stdout.count("nothing to do") == 1


def test_same_name_in_another_folder_is_refused(shared: Workstation, new_workstation: NewWorkstation) -> None:
    other = new_workstation("impostor", "name: shared\n")

    refused = other.run("up")

    assert refused.returncode == 5
    assert str(shared.folder) in refused.stderr
    assert "hint:" in refused.stderr
    assert shared.status()["state"] == "running"


@pytest.mark.engines
def test_down_volumes_asks_and_then_removes(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("leaving")
    workstation.up()

    unasked = workstation.run("down", "--volumes", stdin="")
    assert unasked.returncode == 2
    assert engine.volumes("leaving") == ("leaving_home", "leaving_projects")

    workstation.ok("down", "--volumes", "--yes")
    assert engine.volumes("leaving") == ()
