"""What a check is given: one running container, the promises it has to keep, and ways to reach it.

Owns no judgement. Its own helpers are those that most checks need: run a command, log in by VNC, read the probe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builder.adapters.clock import wait_for
from builder.adapters.exec_host import login_environment, open_host
from builder.adapters.rfb import Greeting, VncClient, connect
from builder.errors import NotReadyError
from builder.model import Level
from builder.suite.memo import Memo
from builder.suite.results import CheckFailure, Skipped
from builder.suite.throwaway import PROBE, Start, read_start

if TYPE_CHECKING:
    from pathlib import Path

    from testinfra.host import Host

    from builder.adapters.engine.client import Engine
    from builder.adapters.errands import Errands
    from builder.model import Check, ExecResult, Keys, Resolved, Substitution
    from builder.views import ContainerView

SERVICES: Final = "/usr/lib/devbox/services"
EXEC_S: Final = 20.0
DOOR_S: Final = 8.0
# Started after the first picture, and so, on a busy machine, a moment after "ready".
LATE: Final = frozenset({"ingest", "theme"})
LATE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the image's own probe sees now: why each phase is red, and all the phases that it looks at."""

    red: Mapping[str, str]
    phases: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running workstation. `resolved` is what it should be; `keys` are its secrets on this machine."""

    engine: Engine
    commands: Errands  # by which `run` reaches inside
    container: ContainerView
    resolved: Resolved
    keys: Keys
    substitutions: tuple[Substitution, ...]
    plan: str  # id of the plan that it should be of
    rendered: Path | None = None  # .workstation, to look for secrets in
    fresh: bool = False  # a throw-away: nobody works in it
    held: str = ""  # it is what `devbox rollback` went back to, and this the plan that devbox.yaml makes now
    own: tuple[tuple[str, Check], ...] = ()  # declared in devbox.yaml, by name
    framework: tuple[tuple[str, Check], ...] = ()  # declared there with the framework
    tests: Path | None = None  # a folder of testinfra files
    boot: Callable[[], AbstractContextManager[Subject]] | None = None  # starts a throw-away of the same image
    open_shared: Callable[[], Subject] | None = None  # one that lives until the end of the run
    repeat: int = 5  # throw-away starts of the timing group
    cold: bool = False  # drop the page cache before each of them
    memo: Memo = field(default_factory=Memo)

    # ------------------------------------------------------------------------------------------------ inside

    @property
    def user(self) -> str:
        return self.resolved.user

    @property
    def host(self) -> Host:
        """testinfra, as the workstation's user."""
        return self.memo.get("host", lambda: open_host(self.commands, self.container.id, self.user))

    @property
    def root(self) -> Host:
        """testinfra, as root, or as who stands in its place."""
        return self.memo.get("root", lambda: open_host(self.commands, self.container.id, self.root_name))

    @property
    def root_name(self) -> str:
        """At the level `locked` it is the user: what runs there and its files are the user's, and root has no
        capability to look past that."""
        return self.user if self.resolved.runtime.level is Level.LOCKED else "root"

    def run(self, *argv: str, root: bool = False, stdin: bytes = b"", patience_s: float = EXEC_S) -> ExecResult:
        """Run a command inside. Raises EngineError when the container does not run or the command takes so long."""
        user = self.root_name if root else self.user
        env = {} if user == "root" else login_environment(user)
        return self.commands.run(self.container.id, argv, user=user, env=env, stdin=stdin, timeout_s=patience_s)

    def leave(self) -> None:
        """End what runs inside for our sake: it is not to be measured."""
        self.commands.close()

    def output(self, *argv: str, root: bool = False) -> str:
        """Stdout of a command that must succeed; its failure is the check's."""
        done = self.run(*argv, root=root)
        if done.code != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise CheckFailure(
                f"`{' '.join(argv)}` to succeed", f"exit code {done.code}: {said[-300:]}", exec_hint(*argv)
            )
        return done.stdout.decode(errors="replace")

    def inspect(self) -> Mapping[str, Any]:
        return self.memo.get("inspect", lambda: self.engine.inspect(self.container.id))

    def environment(self) -> dict[str, str]:
        """The container's environment as the engine gives it."""
        return dict(item.partition("=")[::2] for item in self.inspect()["Config"]["Env"] or ())

    def ready(self) -> Start:
        """How its last start ended, as the probe wrote it down."""
        return read_start(self.commands, self.container.id)

    def fresh_one(self) -> Subject:
        """A throw-away of the same image that the checks of this run share; itself when it is one."""
        if self.fresh:
            return self
        if self.open_shared is None:
            raise Skipped("this subject cannot be started anew")
        return self.memo.get("fresh", self.open_shared)

    def look(self) -> Look:
        """The image's own probe, asked once per run; again for a moment where only what comes late is missing."""
        return self.memo.get("look", self._look_patiently)

    def _look_patiently(self) -> Look:
        try:
            return wait_for("what comes late", self._look_settled, deadline_s=LATE_S, interval_s=0.3)
        except NotReadyError:
            return self.look_now()  # it does not come: the check that looks for it says so

    def _look_settled(self) -> Look | None:
        found = self.look_now()
        return None if found.red and found.red.keys() <= LATE else found

    def look_now(self) -> Look:
        script = f"{PROBE} check; echo; cat {SERVICES}/*/ready"
        report, _, listed = self.run("sh", "-c", script, root=True).stdout.decode(errors="replace").partition("\n")
        try:
            red = json.loads(report)["red"]
        except (ValueError, KeyError) as error:
            raise CheckFailure(f"{PROBE} check to report", repr(report[:200]), exec_hint(PROBE, "check")) from error
        return Look(red=red, phases=frozenset(line.split()[0] for line in listed.splitlines() if line.split()))

    # ------------------------------------------------------------------------------------------------ doors

    def has(self, door: str) -> bool:
        """Whether the workstation promises this port (vnc, web, ssh)."""
        return door in self.resolved.doors

    def port(self, door: str) -> int:
        """The port of this machine that leads to a door. Raises CheckFailure when it should be published and is not."""
        if door not in {port.name for port in self.resolved.runtime.ports}:
            raise Skipped(f"devbox.yaml publishes no port for {door}: it cannot be tried from here")
        inside = self.resolved.doors[door]
        host = self.container.ports.get(inside)
        if host is None:
            raise CheckFailure(f"port {inside} ({door}) to be published", "no such port", "devbox status")
        return host

    def place(self, door: str) -> tuple[str, int]:
        """Address and port of this machine that lead to a door; raises as `port` does."""
        port = self.port(door)
        inside = next(tool.ports[door] for tool in self.resolved.tools if door in tool.ports)
        return self.container.address(inside), port

    def greet(self) -> Greeting:
        return connect(*self.place("vnc"), timeout=DOOR_S)

    def login(self) -> VncClient:
        return self.greet().login(self.keys.password.reveal())


def exec_hint(*argv: str) -> str:
    """The command by which a person sees the same."""
    import shlex

    return f"devbox exec -- {shlex.join(argv)}"
