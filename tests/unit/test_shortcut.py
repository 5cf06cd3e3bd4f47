"""What a look alone answers: which words, when not, and without imports that would cost more than the answer."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.shortcut import answer, take_fingerprint
from tests.unit.adapters.scripted_engine import reply, scripted_engine

CONTAINER = {
    "Id": "c1",
    "Names": ["/ws-workstation-1"],
    "State": "running",
    "Status": "Up 3 minutes (healthy)",
    "Image": "devbox/workstation:1",
    "ImageID": "sha256:1",
    "Labels": {"com.docker.compose.project": "ws"},
    "Ports": [{"PrivatePort": 5901, "PublicPort": 15901, "Type": "tcp"}],
    "Created": 0,
}
HEAVY = {"typer", "pydantic", "docker", "jinja2", "yaml", "http.client", "builder.model", "builder.cli"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[dict[str, str]]:
    with scripted_engine(tmp_path, {"/containers/json": reply([CONTAINER])}) as environment:
        yield environment


@pytest.fixture
def workspace(tmp_path: Path, engine: dict[str, str]) -> Path:
    """A folder that says it was brought up by this devbox, on this engine."""
    folder = tmp_path / "ws"
    (folder / ".workstation").mkdir(parents=True)
    remember(folder, {"fingerprint": take_fingerprint(folder, engine), "lock": lock_of(folder), "spec": "s"})
    return folder


def lock_of(folder: Path) -> str:
    (folder / "devbox-lock.json").write_text("{}\n")
    return hashlib.sha256(b"{}\n").hexdigest()


def remember(folder: Path, state: object) -> None:
    (folder / ".workstation/state.json").write_text(json.dumps(state))


def test_an_up_that_finds_nothing_to_do_and_a_status_are_answered(workspace: Path, engine: dict[str, str]) -> None:
    assert (answer(["-C", str(workspace), "up"], engine) or "").startswith("ws is up to date: nothing to do\n\n  vnc ")
    assert (answer(["--directory", str(workspace), "status"], engine) or "").startswith("ws is running (healthy)\n\n")


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["up", "--json"], ["down"], ["-C", "up"], ["-C", "/none", "up"], ["--log", "x", "up"]]
)
def test_what_needs_a_parser_is_left_to_it(words: list[str], engine: dict[str, str]) -> None:
    assert answer(words, engine) is None


def test_a_changed_devbox_yaml_goes_the_long_way(workspace: Path, engine: dict[str, str]) -> None:
    (workspace / "devbox.yaml").write_text("name: ws\n")
    assert answer(["-C", str(workspace), "up"], engine) is None


@pytest.mark.parametrize("text", ['{"lock": 1}\n', None])
def test_another_lock_or_none_goes_the_long_way(workspace: Path, engine: dict[str, str], text: str | None) -> None:
    lock = workspace / "devbox-lock.json"
    lock.unlink() if text is None else lock.write_text(text)
    assert answer(["-C", str(workspace), "up"], engine) is None


def test_what_up_reads_beside_devbox_yaml_makes_another_fingerprint(
    workspace: Path, engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = take_fingerprint(workspace, engine)
    assert take_fingerprint(workspace, {**engine, "TZ": "Asia/Tokyo"}) != before
    (Path(engine["HOME"]) / ".gitconfig").write_text("[user]\nname = Somebody Else\n")
    assert take_fingerprint(workspace, engine) != before


def test_a_given_certificate_is_looked_at_again_every_day_and_one_of_our_own_every_month(
    workspace: Path, engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, seconds in (("expose: {certificate: a.pem, key: b.pem}", 86_400), ("expose: true", 30 * 86_400)):
        (workspace / "devbox.yaml").write_text(text)
        found = []
        for later in (0, seconds - 1, seconds):
            monkeypatch.setattr("builder.shortcut.time.time", lambda later=later: 1000 * 30 * 86_400 + later)
            found.append(take_fingerprint(workspace, engine))
        assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("state", ["no object", {"fingerprint": 1}, {}, None])
def test_a_damaged_state_goes_the_long_way(workspace: Path, engine: dict[str, str], state: object) -> None:
    remember(workspace, state)
    assert answer(["-C", str(workspace), "up"], engine) is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "huge"])
def test_a_devbox_yaml_that_cannot_be_read_is_neither_waited_for_nor_fatal(
    workspace: Path, engine: dict[str, str], kind: str
) -> None:
    path = workspace / "devbox.yaml"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "huge":
            path.write_bytes(b"#" * 5_000_000)
    assert answer(["-C", str(workspace), "up"], engine) is None


def test_a_state_that_is_a_pipe_is_not_waited_for(workspace: Path, engine: dict[str, str]) -> None:
    (workspace / ".workstation/state.json").unlink()
    os.mkfifo(workspace / ".workstation/state.json")
    assert answer(["-C", str(workspace), "up"], engine) is None


@pytest.mark.parametrize(
    "text",
    ["framework: {path: x}\nenvironment: {A: 2024-99-99}\n", "framework: " + "[" * 5000, "framework: [a]", "framework",
     "framework: {path: ~nobody/x}", "framework: {path: [a]}", "framework: &a {path: *a}", "framework: {path: '"],
    ids=lambda text: text[11:30],
)  # fmt: skip
def test_a_framework_that_is_wrongly_written_is_not_fatal(workspace: Path, engine: dict[str, str], text: str) -> None:
    (workspace / "devbox.yaml").write_text(text)
    assert answer(["-C", str(workspace), "up"], engine) is None


@pytest.mark.parametrize("said", ["Up 3 minutes (unhealthy)", "Up 2 seconds (health: starting)", "Exited (137) now"])
def test_a_workstation_that_is_not_healthy_goes_the_long_way(tmp_path: Path, said: str) -> None:
    folder = tmp_path / "ws"
    (folder / ".workstation").mkdir(parents=True)
    with scripted_engine(tmp_path, {"/containers/json": reply([{**CONTAINER, "Status": said}])}) as environment:
        remember(folder, {"fingerprint": take_fingerprint(folder, environment), "spec": "s"})
        assert answer(["-C", str(folder), "up"], environment) is None


@pytest.mark.parametrize("verb", ["up", "status"])
def test_an_answer_loads_nothing_heavy(workspace: Path, engine: dict[str, str], verb: str) -> None:
    """The whole command takes 0.05 s; each of these modules would add half of that, or more."""
    script = (
        "import sys, os; from builder.shortcut import answer; assert answer(sys.argv[1:], os.environ);"
        "print(*sorted(sys.modules))"
    )
    argv = [sys.executable, "-c", script, "-C", str(workspace), verb]
    environment = {**engine, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert not HEAVY & set(done.stdout.split())


def test_after_one_that_was_killed_the_long_way_is_gone_and_status_says_so(
    workspace: Path, engine: dict[str, str]
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace)], check=False, cwd=Path(__file__).parents[2], timeout=60
    )
    assert process.returncode == -9
    assert answer(["-C", str(workspace), "up"], engine) is None
    said = answer(["-C", str(workspace), "status"], engine)
    assert said is not None
    assert "was killed while building the image; `devbox up` goes on from there" in said


KILLED = """
import os, sys
from pathlib import Path
from builder.adapters.workspace import Workspace
space = Workspace(Path(sys.argv[1]))
with space.lock("up"):
    space.intend("building the image")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("before", [[], ["--log", "json"]], ids=str)
def test_a_start_without_a_plan_loads_no_parser_no_template_and_not_what_typer_parses_by(
    workspace: Path, engine: dict[str, str], before: list[str]
) -> None:
    """They are a third of the time until the desktop is there."""
    (workspace / ".workstation/state.json").unlink()
    argv = [sys.executable, "-c", START, "-C", str(workspace), *before, "up", "--json"]
    environment = {**engine, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "docker" in done.stdout.split()
    heavy = {"pydantic", "typer._adapters", "jinja2", "yaml", "rich", "paramiko"}
    ours = {"core.config", "core.catalog", "core.lock", "core.plan", "tasks.prepare", "adapters.sources",
            "adapters.assets", "adapters.kept", "adapters.buildkit"}  # fmt: skip
    assert not (heavy | {f"builder.{name}" for name in ours}) & set(done.stdout.split())


START = """
import sys
import builder.tasks.again, builder.tasks.status
from builder.cli import main

def start(context, fingerprint):
    context.workspace.load_state()
    context.histories.recall("ws")
    context.backups.volumes("ws", context.workspace.root)
    context.keys.ensure("ws", context.workspace.root, ())
    context.engine()
    print(*sorted(sys.modules))
    raise SystemExit

builder.tasks.again.start_unchanged = start
main(sys.argv[1:])
"""
