"""`up` is stopped at each of its steps, by each signal: the next plain `up` ends with one workstation and no more.

A relay in front of the engine kills it when it makes a certain request, before the engine hears of that or after it did
what was asked. Headless, so that a start takes a second.
"""

from __future__ import annotations

import fcntl
import os
import pty
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from builder.adapters.scratch import scratch_folder
from tests.engine.conftest import ROOT, NewWorkstation, Workstation
from tests.engine.relay import Relay, Trap, relay

pytestmark = pytest.mark.engine_26

PROJECT = "converging"
NAME = f"{PROJECT}-workstation-1"
CONFIG = "profile: headless\n"
ENDS_S = 10
GENTLE = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A request that `up` makes; what the next one says that it was killed at; and whether there was one before."""

    name: str
    request: str
    moment: Literal["before", "during", "after"]
    doing: str
    nth: int = 1
    old: bool = False


WANTED = "looking for what can be had here"
PARTS = "making its network and volumes"
SWITCH = f"putting the next {NAME} in the place of the one before"
STEPS = (
    Step(name="looks for the image", request=r"GET /images/devbox/headless", moment="before", doing=WANTED),
    Step(name="makes the network", request="POST /networks/create", moment="before", doing=PARTS),
    Step(name="made the network", request="POST /networks/create", moment="after", doing=PARTS),
    Step(name="made a volume", request="POST /volumes/create", moment="after", doing=PARTS),
    Step(name="makes the last volume", request="POST /volumes/create", moment="before", nth=2, doing=PARTS),
    Step(name="makes the container", request="POST /containers/create", moment="before", doing=f"making {NAME}"),
    Step(name="made the container", request="POST /containers/create", moment="after", doing=f"making {NAME}"),
    Step(name="starts", request="POST /containers/[^/]+/start", moment="before", doing=f"starting {NAME}"),
    Step(name="started", request="POST /containers/[^/]+/start", moment="after", doing=f"starting {NAME}"),
    Step(name="waits", request="POST /exec/[^/]+/start", moment="during", doing="waiting until it can be used"),
    Step(name="made the next", request="POST /containers/create", moment="after", old=True,
         doing=f"making the next {NAME}"),
    Step(name="stopped the old", request="POST /containers/[^/]+/stop", moment="after", old=True, doing=SWITCH),
    Step(name="removed the old", request="DELETE /containers/", moment="after", old=True,
         doing=f"removing the {NAME} of before"),
)  # fmt: skip
SOME = ("looks for the image", "makes the container", "waits")  # where a gentle signal is tried in `make test`, too


def cases() -> Iterator[object]:
    for step in STEPS:
        for number in (signal.SIGKILL, *GENTLE):
            often = number == signal.SIGKILL or step.name in SOME
            marks = () if often else (pytest.mark.long,)
            yield pytest.param(step, number, marks=marks, id=f"{step.name.replace(' ', '-')}-{number.name}")


# -------------------------------------------------------------------------------------------- what may be there


@pytest.fixture
def subject(new_workstation: NewWorkstation, engine: Engine) -> Iterator[Workstation]:
    """A folder without a workstation, of which this machine knows already what the mirrors have; whatever is made of it
    is taken away without the help of devbox."""
    clear(engine)
    workstation = new_workstation(PROJECT, CONFIG)
    workstation.ok("plan")
    yield workstation
    clear(engine)


def clear(engine: Engine) -> None:
    for view in engine.find_containers(PROJECT):
        engine.remove(view.id)
    engine.remove_network(PROJECT)
    for volume in engine.volumes(PROJECT):
        engine.remove_volume(volume)


def unnamed_images(engine: Engine, plan: str) -> list[str]:
    """What a build of this plan left without a name. Of other plans somebody may work on the same engine."""
    return [item["Id"] for item in engine._api.images(filters={"dangling": True, "label": [f"dev.devbox.plan={plan}"]})]


def assert_converged(workstation: Workstation, engine: Engine) -> None:
    (container,) = engine.find_containers(PROJECT)
    assert (container.name, container.state) == (NAME, "running")
    assert container.id in {view.id for view in engine.find_workstations()}
    networks = engine._api.networks(filters={"label": [f"com.docker.compose.project={PROJECT}"]})
    assert [item["Name"] for item in networks] == [f"{PROJECT}_default"]
    assert engine.volumes(PROJECT) == (f"{PROJECT}_home", f"{PROJECT}_projects")
    mounted = {item["Name"] for item in engine.inspect(container.id)["Mounts"] if item["Type"] == "volume"}
    assert mounted == {f"{PROJECT}_home", f"{PROJECT}_projects"}
    assert unnamed_images(engine, container.labels["dev.devbox.plan"]) == []
    assert half_made(workstation) == []
    # Whatever was started by a `devbox` of this test, at any remove.
    assert find_processes(f"XDG_STATE_HOME={workstation.environment['XDG_STATE_HOME']}\0") == []
    assert "ok" in workstation.inside("echo", "ok")


def half_made(workstation: Workstation) -> list[Path]:
    """Files and folders of something that was under way."""
    cache = Path(workstation.environment["XDG_CACHE_HOME"]) / "devbox"
    kept = [*cache.glob("tmp/*"), *cache.glob("scratch-*")]
    state = Path(workstation.environment["XDG_STATE_HOME"])
    return [*kept, *workstation.folder.rglob(".*.devbox-part"), *state.rglob(".*.devbox-part")]


def through(workstation: Workstation, door: Relay) -> Workstation:
    return replace(workstation, environment={**workstation.environment, "DOCKER_HOST": door.host})


# ------------------------------------------------------------------------------------------- stopped, by step


@pytest.mark.parametrize(("step", "number"), list(cases()))
def test_up_that_was_stopped_is_finished_by_the_next_one(
    subject: Workstation, engine: Engine, tmp_path: Path, step: Step, number: signal.Signals
) -> None:
    if step.old:
        subject.ok("up")
        subject.write(f"{CONFIG}environment: {{CHANGED: 'yes'}}\n")

    code, seconds, _ = stop_at(subject, engine, tmp_path, step, number)

    assert seconds < ENDS_S
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    again = subject.run("up")
    assert again.returncode == 0, again.stderr
    assert_converged(subject, engine)
    said = re.findall(r"the last `devbox up` \(of .*?\) was killed while (.*)", again.stderr)
    assert said == ([step.doing] if number == signal.SIGKILL else [])
    if step.old:
        assert subject.inside("sh", "-c", "echo $CHANGED").strip() == "yes"


def stop_at(
    workstation: Workstation, engine: Engine, folder: Path, step: Step, number: signal.Signals
) -> tuple[int, float, str]:
    """Exit code, seconds from the signal to the end, and what it said."""
    victims: queue.Queue[subprocess.Popen[str]] = queue.Queue()
    took: list[float] = []

    def act() -> bytes:
        process = victims.get(timeout=20)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=60)
        took.append(time.monotonic() - began)
        return b""

    trap = Trap(request=step.request, moment=step.moment, nth=step.nth, act=act)
    with relay(folder, str(engine.host.socket), trap) as door, through(workstation, door).spawn("up") as process:
        victims.put(process)
        _, errors = process.communicate(timeout=120)
    assert trap.sprung.wait(10), f"it never came so far:\n{errors}"
    assert "Traceback" not in errors
    return process.returncode, took[0], errors


# ------------------------------------------------------------------------------------------------ in the build


STEP = "… configure"  # takes a few seconds, wants no network, and is made anew for another user


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Until it is said; the process must not end before."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}:\n{''.join(seen)}")


def make_user() -> str:
    return f"u{uuid.uuid4().hex[:12]}"


def builders(user: str) -> list[str]:
    """Processes of a build on this machine that is made for `user`."""
    return find_processes(f"DEVBOX_USER={user}\0")


def find_processes(variable: str) -> list[str]:
    """Command lines of the processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if variable.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)], ids=str
)
def test_a_build_that_was_stopped_ends_on_the_engine_and_the_next_up_works(
    subject: Workstation, engine: Engine, tmp_path: Path, number: signal.Signals
) -> None:
    user = make_user()
    subject.write(f"{CONFIG}user: {user}\n")
    with relay(tmp_path, str(engine.host.socket)) as door, through(subject, door).spawn("up") as process:
        wait_for_line(process, STEP)
        wait_for("it to run", lambda: builders(user) or None, deadline_s=20, interval_s=0.02)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - began < ENDS_S
        wait_for("the engine to end it", lambda: None if builders(user) else True, deadline_s=ENDS_S, interval_s=0.1)
        asked = [request.partition("?")[0] for request in door.asked(r"POST /build(?!.*t=devbox%2Fquestion)")]
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), errors
    # A process that was killed asks for nothing: the engine ends the build because its connection is gone.
    assert asked == (["POST /build"] if number == signal.SIGKILL else ["POST /build", "POST /build/cancel"])
    assert engine.find_containers(PROJECT) == ()

    again = subject.run("up")
    assert again.returncode == 0, again.stderr
    assert_converged(subject, engine)
    assert bool(re.search("was killed while building devbox/headless:", again.stderr)) == (number == signal.SIGKILL)


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM"])
def test_a_terminal_is_left_as_it_was(subject: Workstation, how: str) -> None:
    subject.write(f"{CONFIG}user: {make_user()}\n")
    near, far = pty.openpty()
    before = termios.tcgetattr(far)
    environment = {**subject.environment, "TERM": "xterm-256color"}

    def own_terminal() -> None:
        """So that Ctrl-C reaches it from the terminal itself."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        subject.argv("up"),
        stdin=far,
        stdout=far,
        stderr=far,
        env=environment,
        start_new_session=True,
        preexec_fn=own_terminal,  # no threads here
    )
    shown = read_until(near, b"configure: user")
    assert b"\x1b[?25l" in shown
    os.write(near, b"\x03") if how == "ctrl-c" else process.terminate()
    code = process.wait(timeout=ENDS_S)
    shown += read_until(near, b"interrupted")
    assert code == 130
    assert termios.tcgetattr(far) == before
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")
    os.close(far)
    os.close(near)


def read_until(terminal: int, mark: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 120
    while mark not in seen:
        assert time.monotonic() < deadline, seen.decode(errors="replace")
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65_536)
    return seen


MAKE_A_BASE = """
import sys
from pathlib import Path
from builder.adapters.aptsources import find_mirrors
from builder.adapters.bootstrap import bootstrap_base
from builder.adapters.scratch import scratch_folder
from builder.core.catalog import parse_catalog
from builder.adapters.assets import load_assets

base = parse_catalog(load_assets().listing).bases["debian-12"]
with scratch_folder(Path(sys.argv[1]), "scratch-") as folder:
    bootstrap_base(
        base, arch="amd64", mirrors=find_mirrors("debian"), target=folder / "base.tar",
        on_line=lambda line: print(line, flush=True),
    )
"""


def test_a_base_that_is_made_ends_with_its_process_and_goes_with_the_next_one(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex

    def at_work() -> list[str]:
        return find_processes(f"DEVBOX_TEST_MARK={mark}\0")

    environment = {**os.environ, "DEVBOX_TEST_MARK": mark}
    argv = [sys.executable, "-c", MAKE_A_BASE, str(tmp_path)]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert any("apt" in line for line in process.stdout)
        assert len(at_work()) > 1
        process.kill()
    wait_for("mmdebstrap to end", lambda: None if at_work() else True, deadline_s=ENDS_S, interval_s=0.1)
    assert [path for path in tmp_path.iterdir() if path.is_dir()]
    with scratch_folder(tmp_path, "scratch-") as mine:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [mine]


# ---------------------------------------------------------------------------------------------------- the lock


def test_ten_at_once_make_one_workstation_and_nine_of_them_say_for_whom_they_wait(
    subject: Workstation, engine: Engine
) -> None:
    subject.write(f"{CONFIG}user: {make_user()}\n")
    with ExitStack() as stack:
        crowd = [stack.enter_context(subject.spawn("--log", "plain", "up")) for _ in range(10)]
        said = [process.communicate(timeout=300) for process in crowd]

    assert [process.returncode for process in crowd] == [0] * 10
    assert sum(len(re.findall("devbox/headless:[0-9a-f]{12} built", errors)) for _, errors in said) == 1
    assert sum("is ready" in output for output, _ in said) == 1
    assert sum("nothing to do" in output for output, _ in said) == 9
    who = r"waiting for `devbox up` \(process (\d+) of \S+ on \S+, since \d\d:\d\d:\d\d(, [^)]+)?\)"
    waits = [re.findall(who, errors) for _, errors in said]
    assert sum(bool(wait) for wait in waits) >= 9
    assert {int(pid) for wait in waits for pid, _ in wait} <= {process.pid for process in crowd}
    assert_converged(subject, engine)


def test_up_waits_for_a_down_and_makes_the_workstation_anew(
    subject: Workstation, engine: Engine, tmp_path: Path
) -> None:
    subject.ok("up")
    (first,) = engine.find_containers(PROJECT)
    waiting: queue.Queue[str] = queue.Queue()

    def hold() -> None:
        waiting.get(timeout=60)

    trap = Trap(request="DELETE /networks/", act=hold)
    with relay(tmp_path, str(engine.host.socket), trap) as door, through(subject, door).spawn("down") as process:
        wait_for("down to come so far", lambda: door.asked("DELETE /networks/") or None, deadline_s=60, interval_s=0.01)
        with subject.spawn("up") as other:
            assert other.stderr is not None
            line = next(line for line in other.stderr if "waiting for" in line)
            waiting.put("up waits")
            _, errors = other.communicate(timeout=120)
        process.communicate(timeout=60)
    assert f"waiting for `devbox down` (process {process.pid}" in line
    assert "removing its network" in line
    assert (process.returncode, other.returncode) == (0, 0), errors
    (second,) = engine.find_containers(PROJECT)
    assert second.id != first.id
    assert_converged(subject, engine)


# ------------------------------------------------------------------------------------- foreign and stale things


def test_what_devbox_did_not_make_is_explained_before_anything_is_made_and_left_alone(
    subject: Workstation, engine: Engine
) -> None:
    image = engine.find_image_ids("dev.devbox.base")[0].id
    api: Any = engine._api  # its types know half of it
    foreign: dict[str, tuple[Callable[[], object], Callable[[], object], str]] = {
        "container": (
            lambda: api.create_container(image, name=NAME, command=["true"]),
            lambda: api.remove_container(NAME),
            f"docker rm -f {NAME}",
        ),
        "network": (
            lambda: api.create_network(f"{PROJECT}_default"),
            lambda: api.remove_network(f"{PROJECT}_default"),
            f"docker network rm {PROJECT}_default",
        ),
        "volume": (
            lambda: api.create_volume(f"{PROJECT}_home"),
            lambda: api.remove_volume(f"{PROJECT}_home"),
            f"docker volume rm {PROJECT}_home",
        ),
    }
    for kind, (make, remove, command) in foreign.items():
        make()
        try:
            done = subject.run("up")
            assert done.returncode == 5, done.stderr
            assert re.search(rf"a {kind} named \S+ exists and was not made by devbox", done.stderr)
            assert f"hint: choose another name with `name:` in devbox.yaml, or remove it yourself: `{command}`" in (
                done.stderr
            )
            assert engine.find_parts(PROJECT) == ()
            assert engine.find_containers(PROJECT) == ()
        finally:
            remove()


def test_a_folder_that_was_moved_keeps_its_workstation_its_data_and_its_passwords(
    subject: Workstation, new_workstation: NewWorkstation, engine: Engine
) -> None:
    named = f"name: {PROJECT}\n{CONFIG}"
    subject.write(named)
    subject.ok("up")
    subject.inside("sh", "-c", "echo kept > ~/projects/file")
    key = (subject.secrets() / "ssh_host_ed25519_key").read_text()

    copy = new_workstation("copied", named)
    shutil.copytree(subject.folder / ".workstation", copy.folder / ".workstation")
    refused = copy.run("up")
    assert (refused.returncode, f"belongs to another folder, {subject.folder}" in refused.stderr) == (5, True)

    moved = new_workstation("moved")
    moved.folder.rmdir()
    subject.folder.rename(moved.folder)
    subject.folder.mkdir()  # for the fixture, which takes it away
    assert moved.run("up").returncode == 5  # somebody made a folder there: it could be that one's
    subject.folder.rmdir()
    done = moved.run("up")

    assert done.returncode == 0, done.stderr
    assert f"this folder was {subject.folder} before: the workstation {PROJECT} is taken over" in done.stderr
    assert moved.inside("cat", "projects/file").strip() == "kept"
    assert (moved.secrets() / "ssh_host_ed25519_key").read_text() == key
    (container,) = engine.find_containers(PROJECT)
    assert container.labels["dev.devbox.workspace"] == str(moved.folder)
    assert "taken over" not in moved.run("up", "--recreate").stderr
    subject.folder.mkdir()
