"""A real engine, the real command, throw-away workspaces.

Everything is made below one temporary folder per session; every workstation's label names its folder, so the session
can take away exactly what it made. Nothing here is skipped: without an engine these tests fail.

`make test` runs them on two engines side by side: what is marked `engines` on both, what is marked `engine_26` on
Docker Engine 26.1, the rest on the engine that is there. Each run has a cache of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.adapters.rfb import VncClient, connect
from builder.views import ContainerView
from tests.engine.base_image import base_image as base_image  # a fixture
from tests.engine.boxes import box as box  # fixtures
from tests.engine.boxes import boxes as boxes
from tests.engine.sessions import FOLDER, NAMED, living, remove_dead, remove_made

ROOT = Path(__file__).resolve().parents[2]
# Shell lines that succeed when a terminal on the desktop has its shell, and when none is there any more.
SHELL_RUNS = "pgrep -P $(pgrep -x -d , xfce4-terminal) zsh"
TERMINAL_ENDS = "pkill -x xfce4-terminal; ! pgrep -x xfce4-terminal"
UP_SECONDS = 900  # a cold build on two busy cores

BASES, HELPER, ARTIFACT = "devbox/base:", "devbox/backup:", "devbox/artifact:"
IMAGE = re.compile(r"\bdevbox/[a-z]+:[A-Za-z0-9_.-]+")


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
        done = subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            text=True,
            input=stdin,
            env={**self.environment, **(environment or {})},
            timeout=UP_SECONDS,
            check=False,
        )
        rendered = [self.folder / ".workstation" / name for name in ("Dockerfile", "compose.yaml")]
        texts = (done.stdout, done.stderr, *(path.read_text(errors="replace") for path in rendered if path.is_file()))
        NAMED.update(*map(IMAGE.findall, texts))
        return done

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
        """The folder that the container sees as /run/secrets; what only this machine needs lies beside it.

        A workspace that was moved leaves a link at the place of before."""
        places = Path(self.environment["XDG_STATE_HOME"]).glob(f"devbox/{self.status()['name']}-*/secrets")
        (found,) = [place for place in places if not place.parent.is_symlink()]
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
    return tmp_path_factory.mktemp(FOLDER, numbered=False)


@pytest.fixture(scope="session")
def environment(session_folder: Path) -> Mapping[str, str]:
    """The caller's environment, with secrets kept in the session's folder and downloads kept between sessions."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "CI")}
    return {
        **kept,
        "XDG_STATE_HOME": str(session_folder / "state"),
        "XDG_CACHE_HOME": str(ROOT / os.environ.get("DEVBOX_TEST_CACHE", ".cache")),
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="session", autouse=True)
def clean_engine(engine: Engine, session_folder: Path) -> Iterator[None]:
    """Leave the engine as it was: no container, volume, network or image of this session, and all of any other. A base
    stays for the next session, which would have to bootstrap it again."""
    session = session_folder.parent
    remove_dead(engine, session.parent)
    before = _tags(engine).keys()
    with living(session):
        yield
        left = remove_made(engine, session)
    used = {view.image_id for view in engine.find_workstations()}  # of somebody who works here meanwhile
    if not os.environ.get("DEVBOX_TEST_KEEP"):
        for tag, image in _tags(engine).items():
            ours = tag in NAMED or tag.startswith((HELPER, ARTIFACT))
            if ours and tag not in before and not tag.startswith(BASES) and image not in used:
                engine.remove_image(tag, force=True)
    assert not left, f"tests left containers behind: {left}"


def _tags(engine: Engine) -> dict[str, str]:
    """{tag: id} of all images that devbox made."""
    kinds = ("plan", "base", "artifact", "helper-image", "sidecar")
    images = {image.id: image for kind in kinds for image in engine.find_image_ids(f"dev.devbox.{kind}")}
    return {tag: image.id for image in images.values() for tag in image.tags}


NewWorkstation = Callable[..., Workstation]


def make_factory(session_folder: Path, environment: Mapping[str, str]) -> Iterator[NewWorkstation]:
    with ExitStack() as made:  # one that cannot be taken away keeps none of the others

        def make(name: str, config: str | None = None) -> Workstation:
            folder = session_folder / name
            folder.mkdir()
            workstation = Workstation(folder=folder, environment=environment)
            made.callback(_remove, workstation)
            NAMED.add(f"devbox/previous:{name}")
            if config is not None:
                workstation.write(config)
            return workstation

        yield make


def _remove(workstation: Workstation) -> None:
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
