"""A real engine, the real command, throw-away workspaces.

Everything is made below one temporary folder per session; every workstation's label names its folder, so the session
can take away exactly what it made. Nothing here is skipped: without an engine these tests fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.adapters.rfb import VncClient, connect
from builder.views import ContainerView, ImageView
from tests.engine.base_image import base_image as base_image  # a fixture

ROOT = Path(__file__).resolve().parents[2]
# Shell lines that succeed when a terminal on the desktop has its shell, and when none is there any more.
SHELL_RUNS = "pgrep -P $(pgrep -x -d , xfce4-terminal) zsh"
TERMINAL_ENDS = "pkill -x xfce4-terminal; ! pgrep -x xfce4-terminal"
UP_SECONDS = 900  # a cold build on two busy cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker("engine")


@dataclass(slots=True)
class Workstation:
    """A workspace folder and the command in it."""

    folder: Path
    environment: Mapping[str, str]
    started: bool = field(default=False)

    def write(self, config: str) -> None:
        (self.folder / "devbox.yaml").write_text(config)

    def run(
        self, *arguments: str, stdin: str | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `devbox` here; its exit code is the caller's to judge."""
        return subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            text=True,
            input=stdin,
            env={**self.environment, **(environment or {})},
            timeout=UP_SECONDS,
            check=False,
        )

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "builder", "-C", str(self.folder), *arguments]

    @contextmanager
    def spawn(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`devbox` here, running beside the test, in a process group of its own; killed if the test leaves it alive."""
        self.started = self.started or arguments[0] == "up"
        process = subprocess.Popen(
            self.argv(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(self.environment),
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        """Run `devbox` here, insist that it succeeds, return its stdout."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"devbox {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.started = True
        done = self.run("up", *arguments)
        assert done.returncode == 0, f"devbox up: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def status(self) -> dict[str, object]:
        found = json.loads(self.ok("status", "--json"))
        assert isinstance(found, dict)
        return found

    def port(self, door: str) -> int:
        endpoints = self.status()["endpoints"]
        assert isinstance(endpoints, dict)
        return int(str(endpoints[door]).rstrip("/").rpartition(":")[2])

    def password(self) -> str:
        return self.ok("password").strip()

    def inside(self, *command: str) -> str:
        return self.ok("exec", "--", *command)

    def secrets(self) -> Path:
        """The folder that the container sees as /run/secrets; what only this machine needs lies beside it."""
        (found,) = Path(self.environment["XDG_STATE_HOME"]).glob(f"devbox/{self.status()['name']}-*/secrets")
        return found

    def login_vnc(self) -> VncClient:
        return connect("127.0.0.1", self.port("vnc")).login(self.password())

    def wait_inside(self, what: str, probe: str, *, deadline_s: float = 20) -> str:
        """The output of the shell line `probe`, run inside as the user, once it succeeds."""

        def look() -> str | None:
            done = self.run("exec", "--", "sh", "-c", probe)
            return done.stdout if done.returncode == 0 else None

        return wait_for(what, look, deadline_s=deadline_s, interval_s=0.2)

    def container(self, engine: Engine) -> ContainerView:
        found = engine.find_container(str(self.status()["name"]))
        assert found is not None
        return found

    def take_away(self) -> None:
        """Remove it with its data; a second time is nothing."""
        if self.started:
            self.ok("down", "--volumes", "--yes")
            self.started = False


@pytest.fixture(scope="session")
def engine() -> Engine:
    return connect_engine(os.environ)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devbox")


@pytest.fixture(scope="session")
def environment(session_folder: Path) -> Mapping[str, str]:
    """The caller's environment, with secrets kept in the session's folder and downloads kept between sessions."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "CI")}
    return {
        **kept,
        "XDG_STATE_HOME": str(session_folder / "state"),
        "XDG_CACHE_HOME": str(ROOT / ".cache"),
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="session", autouse=True)
def clean_engine(engine: Engine, session_folder: Path) -> Iterator[None]:
    """Leave the engine as it was: no container, volume, network or image of this session."""
    before = {image.id for image in _images(engine)}
    yield
    left = [view for view in engine.find_workstations() if str(session_folder) in view.labels["dev.devbox.workspace"]]
    for view in left:
        engine.remove(view.id)
    used = {view.image_id for view in engine.find_workstations()}  # of somebody who works here meanwhile
    if not os.environ.get("DEVBOX_TEST_KEEP"):
        for image in _images(engine):
            if image.id not in before | used:
                engine.remove_image(image.id, force=True)
    assert not left, f"tests left workstations behind: {[view.name for view in left]}"


def _images(engine: Engine) -> tuple[ImageView, ...]:
    return engine.find_image_ids("dev.devbox.plan") + engine.find_image_ids("dev.devbox.base")


NewWorkstation = Callable[..., Workstation]


def make_factory(session_folder: Path, environment: Mapping[str, str]) -> Iterator[NewWorkstation]:
    made: list[Workstation] = []

    def make(name: str, config: str | None = None) -> Workstation:
        folder = session_folder / name
        folder.mkdir()
        workstation = Workstation(folder=folder, environment=environment)
        if config is not None:
            workstation.write(config)
        made.append(workstation)
        return workstation

    yield make
    for workstation in made:
        workstation.take_away()
        shutil.rmtree(workstation.folder)


@pytest.fixture
def new_workstation(session_folder: Path, environment: Mapping[str, str]) -> Iterator[NewWorkstation]:
    """Make workstations that live for one test."""
    yield from make_factory(session_folder, environment)


@pytest.fixture(scope="session")
def session_workstations(session_folder: Path, environment: Mapping[str, str]) -> Iterator[NewWorkstation]:
    """Make workstations that several tests look at."""
    yield from make_factory(session_folder, environment)


@pytest.fixture(scope="session")
def shared(session_workstations: NewWorkstation) -> Workstation:
    """One running default workstation, for tests that leave it as they found it."""
    workstation = session_workstations("shared")
    workstation.up()
    return workstation
