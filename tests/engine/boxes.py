"""Workstations whose insides are hurt: killed from outside, broken from inside, with small limits. One per level."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from builder.adapters.clock import monotonic, wait_for
from builder.adapters.engine.client import Engine
from builder.adapters.rfb import connect
from builder.model import ExecResult
from tests.engine.pictures import assert_desktop

if TYPE_CHECKING:
    from tests.engine.conftest import NewWorkstation, Workstation

PROBE = "/usr/lib/devbox/probe"
LEVELS = ("dev", "locked")
CONFIG = "security: {level}\nresources: {{memory: 700m, pids: 300, shm: 100m}}\n"
HOME = {"HOME": "/home/dev", "USER": "dev", "LOGNAME": "dev", "SHELL": "/bin/zsh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A running workstation, its doors known: nothing of `devbox` runs in between."""

    engine: Engine
    workstation: Workstation
    container: str
    vnc: int
    password: str
    locked: bool

    def user(self, script: str) -> ExecResult:
        return self.engine.run(self.container, ["sh", "-c", script], user="dev", env=HOME)

    def root(self, script: str) -> ExecResult:
        """At the level `locked` there is nobody above the user."""
        return self.engine.run(self.container, ["sh", "-c", script], user="dev" if self.locked else "root")

    def told(self, script: str) -> str:
        done = self.root(script)
        assert done.code == 0, done.stderr
        return done.stdout.decode().strip()

    def red(self) -> Mapping[str, str]:
        """What the probe finds wrong now, by phase. No shell: where no process can be started, it still can."""
        done = self.engine.run(self.container, [PROBE, "check"])
        if done.code in (126, 127):
            return {"probe": "could not be started"}  # where no process can be, none can look
        found = json.loads(done.stdout)
        assert found["usable"] == (not found["red"])
        return dict(found["red"])

    def pid(self, service: str) -> int:
        """-1 where it does not run, or nobody supervises it."""
        done = self.root(f"s6-svstat -o pid /run/service/{service}")
        return int(done.stdout) if done.code == 0 else -1

    def await_another(self, service: str, before: int) -> None:
        wait_for(
            f"another {service}",
            lambda: True if self.pid(service) not in (before, -1) else None,
            deadline_s=20,
            interval_s=0.05,
        )

    def await_green(self, *, deadline_s: float = 30) -> float:
        """Seconds until all is well."""
        began = monotonic()
        wait_for(
            "all to be well",
            lambda: None if self.red() else True,
            deadline_s=deadline_s,
            interval_s=0.1,
            why=lambda: json.dumps(self.red()),
        )
        return monotonic() - began

    def restart(self) -> Sequence[Mapping[str, object]]:
        """As after a loss of power; what the probe tells of the start."""
        self.engine.kill(self.container)
        self.engine.wait(self.container, timeout_s=30)
        self.engine.start(self.container)
        done = self.engine.run(self.container, [PROBE, "wait", "--timeout", "60"], timeout_s=70)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def assert_picture(self) -> None:
        with connect("127.0.0.1", self.vnc).login(self.password) as client:
            assert_desktop(client.settle(0.3, 20, tolerance=0.002))


def notes(messages: Sequence[Mapping[str, object]]) -> str:
    """What a person is told; the start must have ended well."""
    assert messages[-1].get("ready"), messages
    return "\n".join(str(item["note"]) for item in messages if "note" in item)


def make_box(workstation: Workstation, engine: Engine) -> Box:
    workstation.up()
    return Box(
        engine=engine,
        workstation=workstation,
        container=workstation.container(engine).id,
        vnc=workstation.port("vnc"),
        password=workstation.password(),
        locked="locked" in (workstation.folder / "devbox.yaml").read_text(),
    )


@pytest.fixture(scope="session")
def boxes(session_workstations: NewWorkstation, engine: Engine) -> Mapping[str, Box]:
    """By level; whoever hurts one leaves it well."""
    return {
        level: make_box(session_workstations(f"box-{level}", CONFIG.format(level=level)), engine) for level in LEVELS
    }


@pytest.fixture(params=LEVELS)
def box(request: pytest.FixtureRequest, boxes: Mapping[str, Box]) -> Box:
    return boxes[request.param]
