"""Where the faults happen: a workstation that they meet, and a bystander that must not notice."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.adapters.engine.client import Engine
from tests.engine.conftest import Workstation
from tests.engine.faults.model import Start, Trouble
from tests.engine.faults.snapshot import Observer, Snapshot
from tests.engine.second_engine import SecondEngine

CONFIG = "profile: headless\nbase: debian-12\nports: {dev: false}\n"
LIMIT_S = 300  # a command that takes longer is ended, and the test fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command ended with. `seconds` count from the call, or from the signal that was to end it."""

    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(slots=True, kw_only=True)
class Scene:
    """What the making of a fault may use. Each fault puts back what it took."""

    subject: Workstation
    bystander: Workstation
    engine: Engine
    api: Any  # the SDK's client, to do by hand what devbox would not
    folder: Path  # for sockets, servers and whatever a fault needs
    observer: Observer
    second: SecondEngine | None = None  # where this is the engine that both are on, and no other test is
    whole: Snapshot | None = None  # with both workstations up, before the first fault
    left: Snapshot | None = None  # after the last fault
    signalled: float = 0.0
    built: set[str] = field(default_factory=set)  # images that the workstation ran from during a fault
    heard: list[str] = field(default_factory=list)  # what was read of stderr while the verb worked

    @property
    def name(self) -> str:
        return self.subject.folder.name

    @property
    def container_name(self) -> str:
        return f"{self.name}-workstation-1"

    @property
    def state_home(self) -> Path:
        return Path(self.subject.environment["XDG_STATE_HOME"])

    def look(self) -> Snapshot:
        return self.observer.look(self.subject, self.bystander)

    def prepare(self, start: Start) -> Snapshot:
        """What is there before the fault."""
        now, self.left = self.left, None  # as the last fault left it, where its test passed
        if now is None:
            self.subject.up()
            self.remove_images()
            now = self.look()
        if start is Start.RUNNING:
            return now
        self.subject.ok("down")
        return self.look()

    def run(self, verb: str, trouble: Trouble) -> Told:
        """`devbox VERB` as the trouble wants it."""
        folder = trouble.folder or self.subject.folder
        words = [*trouble.wrap, *Workstation(folder=folder, environment={}).argv(*shlex.split(verb))]
        wanted = {**self.subject.environment, **trouble.environment}
        self.signalled, self.heard = 0.0, []
        began = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in wanted.items() if value is not None},
            start_new_session=True,
        )
        with process:
            try:
                if trouble.during is not None:
                    trouble.during(process)
                stdout, stderr = process.communicate(timeout=LIMIT_S)
            finally:
                if process.poll() is None:
                    process.kill()
        seconds = time.monotonic() - (self.signalled or began)
        return Told(code=process.returncode, stdout=stdout, stderr="".join(self.heard) + stderr, seconds=seconds)

    def send(self, process: subprocess.Popen[str], number: signal.Signals) -> None:
        """From here on the seconds count."""
        self.signalled = time.monotonic()
        process.send_signal(number)

    @contextmanager
    def configured(self, more: str = "", *, instead: str | None = None) -> Iterator[None]:
        """The workstation's devbox.yaml with `more` below it, for a while. It differs in any case from the usual one,
        so that `up` does more than to look."""
        file = self.subject.folder / "devbox.yaml"
        before = file.read_text()
        file.write_text(f'{before}environment: {{FAULT: "1"}}\n{more}' if instead is None else instead)
        try:
            yield
        finally:
            file.write_text(before)
            self.built.update(item["Image"] for item in self._containers())

    def remove_images(self) -> None:
        """What was built for a fault, once the workstation runs from its own image again: `rollback` would go back to
        it."""
        self.engine.remove_image(f"devbox/previous:{self.name}", force=True)
        for image in self.built - {item["Image"] for item in self._containers()}:
            self.engine.remove_image(image, force=True)
        self.built.clear()

    def _containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.containers(all=True, filters={"name": [f"^/{self.container_name}$"]})
        return found


def plain(trouble: Trouble) -> Callable[[Scene], Any]:
    """A fault that is all in the way devbox is called."""

    @contextmanager
    def make(scene: Scene) -> Iterator[Trouble]:
        yield trouble

    return make


def config(text: str, *, instead: bool = False) -> Callable[[Scene], Any]:
    """A fault that stands in devbox.yaml."""

    @contextmanager
    def make(scene: Scene) -> Iterator[Trouble]:
        with scene.configured(text, instead=text if instead else None):
            yield Trouble()

    return make


def variables(**values: str | None) -> Callable[[Scene], Any]:
    return plain(Trouble(environment=values))
