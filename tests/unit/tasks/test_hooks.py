"""Hooks: which run, in which order, and what is said of one that fails. What happens inside is in tests/engine."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.core.hooks import choose_hooks
from builder.errors import ConfigError, HostError, NotReadyError
from builder.model import ExecResult, Hook, LogLine, Note, TaskEnded, TaskStarted
from builder.tasks.hooks import RUN
from builder.tasks.lifecycle import start_workstation
from builder.tasks.prepare import read_request
from builder.tasks.rollback import roll_back
from builder.tasks.up import bring_up
from tests.unit.core.builders import make_resolved
from tests.unit.tasks.fakes import FakeEngine, World

TEXT = "base: debian-12\nhooks: {on_create: [one, two], on_start: go, timeout: 7}"


class HookEngine(FakeEngine):
    """Runs no hook, but ends each with a code; keeps what was said to have run, as the scripts inside do."""

    def __init__(self, codes: dict[str, int] | None = None) -> None:
        super().__init__(pullable=("debian:12-slim",))
        self.codes = codes or {}
        self.ran: list[tuple[str, str, str]] = []
        self.done: dict[str, list[str]] = {"on_create": [], "on_start": []}

    def run(
        self, container: str, argv: Sequence[str], *, user: str = "", stdin: bytes = b"", timeout_s: float | None = None
    ) -> ExecResult:
        if argv[4:5] != ["hooks"]:
            return super().run(container, argv, user=user, stdin=stdin)
        moment, *added = argv[5:]
        self.done[moment] += added
        return ExecResult(code=0, stdout="\n".join(self.done[moment]).encode(), stderr=b"")

    def run_stream(self, container: str, argv: Sequence[str], *, user: str = "") -> Iterator[bytes]:
        if argv[4:5] != ["hook"]:
            yield from super().run_stream(container, argv, user=user)
            return
        moment, hook, seconds, line = argv[5:]
        self.ran.append((moment, seconds, line))
        yield b"said"
        code = self.codes.get(line, 0)
        if code == -1:
            return  # the container ended
        self.done[moment] += [] if code else [hook]
        yield b""
        yield f'{{"devbox-hook": "{hook}", "code": {code}}}'.encode()


def make_world(text: str = TEXT, **codes: int) -> tuple[World, HookEngine]:
    engine = HookEngine(codes)
    return World(config=text, engine=engine), engine


def up(world: World) -> None:
    bring_up(world.context(), fingerprint="f")


def test_each_runs_once_those_of_the_home_first() -> None:
    world, engine = make_world()
    up(world)
    up(world)
    assert engine.ran == [("on_create", "7", "one"), ("on_create", "7", "two"), ("on_start", "7", "go")]
    names = [event.text for event in world.told(TaskStarted) if event.name == "hooks"]
    assert names == ["hooks.on_create (1 of 2): one", "hooks.on_create (2 of 2): two", "hooks.on_start: go"]
    assert [event.text for event in world.told(LogLine) if event.name == "on_start"] == ["said"]


def test_another_start_runs_on_start_alone() -> None:
    world, engine = make_world()
    up(world)
    engine.ran.clear()
    engine.done["on_start"].clear()  # /run is empty then
    context = world.context()
    start_workstation(context, "my-app", read_request(context).resolved.runtime)
    assert [line for _, _, line in engine.ran] == ["go"]


def test_what_is_written_later_is_not_run_in_a_home_that_was_made_before() -> None:
    world, engine = make_world()
    up(world)
    world.config = TEXT.replace("two", "three")
    up(world)
    assert "three" not in [line for _, _, line in engine.ran]


@pytest.mark.parametrize(
    ("code", "words"), [(3, "failed with exit code 3"), (124, "took more than 7 s"), (-1, "ended with the workstation")]
)
def test_a_failure_tells_the_hook_its_end_and_what_it_said_last(code: int, words: str) -> None:
    world, engine = make_world(two=code)
    with pytest.raises(NotReadyError) as caught:
        up(world)
    assert f"hooks.on_create (2 of 2) {words}: two" in str(caught.value)
    assert caught.value.detail == "said"
    assert [event.failed for event in world.told(TaskEnded) if event.name == "hooks"] == [False, True]
    assert world.workspace.state.fingerprint == ""  # the next `up` goes the long way
    engine.codes.clear()
    engine.ran.clear()
    up(world)
    assert [line for _, _, line in engine.ran] == ["two", "go"]


def test_a_hook_that_fails_leaves_the_way_back_as_it_is() -> None:
    world, engine = make_world()
    up(world)
    world.config = f"{TEXT}\nenvironment: {{A: b}}"
    engine.codes["go"] = 1
    engine.done["on_start"].clear()  # another container
    with pytest.raises(NotReadyError):
        up(world)
    assert current(world) == "b"
    with pytest.raises(NotReadyError):
        roll_back(world.context())
    assert current(world) is None
    with pytest.raises(NotReadyError):
        roll_back(world.context())
    assert current(world) == "b"


def current(world: World) -> str | None:
    history = world.histories.load("my-app")
    assert history.current is not None
    return history.current.spec.environment.get("A")


def test_the_id_of_a_hook_is_of_its_line_and_place() -> None:
    def hooks(text: str) -> tuple[Hook, ...]:
        return choose_hooks(make_resolved(f"base: debian-12\nhooks: {{on_create: {text}}}").runtime, "on_create")

    one, two = hooks("[a, b]"), hooks("[b, a]")
    assert len({hook.id for hook in (*one, *two)}) == 4
    assert dataclasses.replace(hooks("a")[0], of=2) == one[0]


# ------------------------------------------------------------------------------------------------------ env_file


def test_a_dotenv_of_the_folder_is_handed_in_and_is_in_no_file_of_ours() -> None:
    world = World(config="base: debian-12\nenvironment: {B: mine}")
    world.handed.files["/home/me/my-app/.env"] = {"A": "s3cret", "B": "theirs", "PATH": "/x", "a-b": "c"}
    up(world)
    assert world.handed.values == {"A": "s3cret"}  # `environment` wins
    assert any("not taken from" in event.text and "PATH, a-b" in event.text for event in world.told(Note))
    assert b"s3cret" not in world.workspace.tree["compose.yaml"].data
    assert "s3cret" not in str(world.engine.containers)


def test_another_value_makes_the_container_anew_and_the_same_does_not() -> None:
    world = World(config="base: debian-12")
    world.handed.files["/home/me/my-app/.env"] = {"A": "1"}
    up(world)
    world.engine.acts.clear()
    up(world)
    assert not any(act.startswith("create") for act in world.engine.acts)
    world.handed.files["/home/me/my-app/.env"] = {"A": "2"}
    up(world)
    assert any(act.startswith("create") for act in world.engine.acts)


def test_a_file_that_is_named_has_to_be_there_and_the_later_one_wins() -> None:
    world = World(config="base: debian-12\nenv_file: [a.env, ~/b.env]")
    world.handed.files["/home/me/my-app/a.env"] = {"A": "1", "B": "1"}
    with pytest.raises(ConfigError, match=r"b\.env.*there is no such file"):
        up(world)
    world.handed.files["/home/me/b.env"] = {"A": "2"}
    up(world)
    assert world.handed.values == {"A": "2", "B": "1"}


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("is no NAME=value", where=".env"),
        HostError("is no plain file", where=".env"),
    ],  # `python -m venv .env`
)
def test_a_dotenv_of_another_program_hinders_nothing_unless_it_is_named(error: ConfigError | HostError) -> None:
    world = World(config="base: debian-12")
    world.handed.files["/home/me/my-app/.env"] = error
    up(world)
    assert any(f"not read: .env: {error.message}" in event.text for event in world.told(Note))
    world.config = "base: debian-12\nenv_file: .env"
    with pytest.raises(type(error), match=error.message):
        up(world)


def test_false_reads_none() -> None:
    world = World(config="base: debian-12\nenv_file: false")
    world.handed.files["/home/me/my-app/.env"] = {"A": "1"}
    up(world)
    assert world.handed.values == {}


# ----------------------------------------------------------------------------- what runs inside, here in a home of ours


def run_inside(home: Path, line: str, *, hook: str = "id1", moment: str = "on_create", seconds: int = 20) -> list[str]:
    """The lines that it writes until its end is told; what it leaves in the background may go on."""
    argv = ["sh", "-c", RUN, "hook", moment, hook, str(seconds), line]
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PATH": "/usr/bin:/bin"}
    said: list[str] = []
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            said.append(text.rstrip("\n"))
            if "devbox-hook" in text:
                break
        process.wait()
    return said


def code_of(said: list[str]) -> int:
    return int(json.loads(said[-1])["code"])


def test_inside_a_hook_that_ended_well_never_runs_again_and_one_that_failed_does(tmp_path: Path) -> None:
    line = 'echo "it\'s $((1 + 1))" >>"$HOME/log"; test -e "$HOME/ready"'
    assert code_of(run_inside(tmp_path, line)) == 1
    (tmp_path / "ready").touch()
    assert [code_of(run_inside(tmp_path, line)) for _ in range(2)] == [0, 0]
    assert (tmp_path / "log").read_text() == "it's 2\nit's 2\n"


def test_inside_a_hook_works_in_the_projects_and_both_its_streams_are_told(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    said = run_inside(tmp_path, "pwd; echo wrong >&2; cat")  # and nothing to read
    assert said[:2] == [str(tmp_path / "projects"), "wrong"]


def test_inside_a_hook_that_takes_too_long_is_ended_and_counts_as_failed(tmp_path: Path) -> None:
    assert code_of(run_inside(tmp_path, "sleep 600", seconds=1)) == 124
    assert not (tmp_path / ".local/state/devbox/on_create").exists()


def test_inside_what_a_hook_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    said = run_inside(tmp_path, 'sleep 600 & echo $! >"$HOME/pid"', moment="on_start")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert code_of(said) == 0
    assert (tmp_path / "run/devbox-on_start").read_text() == "id1\n"


def test_inside_a_second_devbox_waits_for_a_hook_that_still_runs(tmp_path: Path) -> None:
    """As after one that was killed: the engine lets what it started go on."""
    line = 'echo ran >>"$HOME/log"; touch "$HOME/began"; until [ -e "$HOME/go" ]; do :; done'
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_inside, tmp_path, line)
        wait_for("its begin", lambda: True if (tmp_path / "began").exists() else None, deadline_s=20, interval_s=0.01)
        second = pool.submit(run_inside, tmp_path, line)
        (tmp_path / "go").touch()
        assert [code_of(first.result()), code_of(second.result())] == [0, 0]
    assert (tmp_path / "log").read_text() == "ran\n"
