"""What goes wrong for reasons that can be foreseen: each has its message, its hint and its exit code; nothing stays."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.pictures import assert_desktop, find_faults

INTERRUPT_SECONDS = 10


# ------------------------------------------------------------------------------------------------ the engine


@pytest.fixture
def hanging_socket(tmp_path: Path) -> Iterator[Path]:
    """Accepts connections, and that is all."""
    path = tmp_path / "hanging.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(16)
        yield path


@pytest.fixture
def deserted_socket(tmp_path: Path) -> Path:
    """The socket of an engine that was killed: the file is there, nobody listens."""
    path = tmp_path / "deserted.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def run_without_engine(workstation: Workstation, host: str, *arguments: str) -> tuple[str, float]:
    """Its message and the seconds that it took; all of these end with 5, a hint, and no traceback."""
    began = time.monotonic()
    done = workstation.run(*arguments, environment={"DOCKER_HOST": host})
    assert done.returncode == 5, done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr, time.monotonic() - began


@pytest.mark.parametrize("verb", ["up", "status", "list", "stop", "down", "build"])
def test_no_engine(new_workstation: NewWorkstation, verb: str, tmp_path: Path) -> None:
    text, _ = run_without_engine(new_workstation("none"), f"unix://{tmp_path}/none.sock", verb)
    assert f"there is no socket {tmp_path}/none.sock" in text
    assert "DOCKER_HOST" in text


def test_engine_that_was_killed(new_workstation: NewWorkstation, deserted_socket: Path) -> None:
    text, _ = run_without_engine(new_workstation("killed"), f"unix://{deserted_socket}", "up")
    assert f"no engine listens at unix://{deserted_socket}" in text


def test_address_where_nobody_listens(new_workstation: NewWorkstation) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it meanwhile
        text, _ = run_without_engine(new_workstation("refused"), f"tcp://127.0.0.1:{busy.getsockname()[1]}", "up")
    assert "no engine listens" in text


def test_engine_that_hangs(new_workstation: NewWorkstation, hanging_socket: Path) -> None:
    text, seconds = run_without_engine(new_workstation("hanging"), f"unix://{hanging_socket}", "up")
    assert "does not answer" in text
    assert seconds < 15


def test_doctor_says_that_there_is_no_engine(new_workstation: NewWorkstation, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    done = new_workstation("doctor").run("doctor", environment={"DOCKER_HOST": host})
    assert done.returncode == 8
    assert "there is no socket" in done.stdout
    assert "hint:" in done.stdout


# ------------------------------------------------------------------------------------------------ devbox.yaml

WRONG = """\
name: Not A Name
profile: workstation
destkop:
  geometry: huge
tools:
  nod: 18
ports: {vnc: 80, web: 6080}
resources: {memory: lots}
"""


def test_all_mistakes_of_the_config_at_once(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("wrong", WRONG)

    done = workstation.run("up")

    assert done.returncode == 2
    places = set(re.findall(r"devbox\.yaml:(\d+):\d+", done.stderr))
    assert places == {"1", "3", "7", "8"}, done.stderr  # names of tools are looked up once the rest is right
    assert "destkop:" in done.stderr
    assert "^" in done.stderr
    assert re.search(r"hint: .*desktop", done.stderr)
    assert not (workstation.folder / ".workstation").exists()


def test_unknown_tool_is_told_with_the_nearest_name(new_workstation: NewWorkstation) -> None:
    done = new_workstation("unknown", "tools:\n  nod: 18\n  clade-code: true\nbase: debian-12\n").run("up")

    assert done.returncode == 2
    assert set(re.findall(r"devbox\.yaml:(\d+):\d+", done.stderr)) == {"2", "3"}
    assert re.search(r"hint: .*node", done.stderr)
    assert re.search(r"hint: .*claude-code", done.stderr)


def test_config_that_is_no_yaml(new_workstation: NewWorkstation) -> None:
    done = new_workstation("broken", "tools: {node: 18\nname: x\n").run("up")

    assert done.returncode == 2
    assert re.search(r"devbox\.yaml:\d+:\d+", done.stderr)
    assert "Traceback" not in done.stderr


def test_local_archive_with_another_checksum_is_refused(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("archive", "sources: {oh-my-zsh: ./oh-my-zsh.tar.gz}\n")
    (workstation.folder / "oh-my-zsh.tar.gz").write_bytes(b"something else")

    done = workstation.run("up")

    assert done.returncode == 8
    assert str(workstation.folder / "oh-my-zsh.tar.gz") in done.stderr
    assert re.search(r"checksum|sha256", done.stderr)
    assert engine.find_container("archive") is None


# ------------------------------------------------------------------------------------------------------ ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A program of this machine that holds a port: this one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server


def test_pinned_port_that_is_busy_names_the_culprit(
    new_workstation: NewWorkstation, listener: socket.socket, engine: Engine
) -> None:
    port = listener.getsockname()[1]
    workstation = new_workstation("pinned", f"ports: {{vnc: {{host: {port}, pinned: true}}}}\n")

    done = workstation.run("up")

    assert done.returncode == 8
    assert f"port {port} is taken by" in done.stderr
    assert f"(process {os.getpid()})" in done.stderr
    assert "devbox.yaml" in done.stderr
    assert "pinned: false" in done.stderr
    assert engine.find_container("pinned") is None


def test_busy_port_is_replaced_said_and_remembered(new_workstation: NewWorkstation, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    workstation = new_workstation("busy", f"ports: {{vnc: {port}}}\n")

    done = workstation.up()

    got = workstation.port("vnc")
    assert got != port
    assert re.search(rf"port {port} \(vnc\) is taken by .*\(process {os.getpid()}\): {got} instead", done.stderr)
    listener.close()
    workstation.ok("down")
    again = workstation.up()
    assert workstation.port("vnc") == got
    assert "instead" not in [line for line in again.stderr.splitlines() if "vnc" in line]


def test_port_that_is_taken_during_the_build_is_replaced_too(new_workstation: NewWorkstation, engine: Engine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workstation = new_workstation("robbed", f"ports: {{web: {port}}}\napt: [sl]\n")
    forget(engine, workstation)

    with workstation.spawn("up") as process, socket.socket() as thief:
        wait_for_line(process, "▸ build")
        thief.bind(("127.0.0.1", port))
        thief.listen(1)
        output, rest = process.communicate(timeout=300)

        assert process.returncode == 0, rest
        assert f"port {port} (web) is taken by" in rest
        assert "robbed is ready" in output
        assert workstation.port("web") != port
        assert "nothing to do" in workstation.up().stdout


# ------------------------------------------------------------------------------------------------------ builds


def own_images(engine: Engine) -> set[str]:
    return {image.id for image in engine.find_image_ids("dev.devbox.plan")}


def test_failing_step_leaves_the_running_workstation_alone(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("failing")
    workstation.up()
    before, images = workstation.container(engine), own_images(engine)
    config = "apt: [no-such-package-xyz]\n"
    workstation.write(config)

    done = workstation.run("up")

    assert done.returncode == 5
    assert "devbox.yaml" in done.stderr
    assert "Unable to locate package no-such-package-xyz" in done.stderr
    assert "hint: this base has no package of that name" in done.stderr
    assert own_images(engine) == images
    after = workstation.container(engine)
    assert (after.id, after.state) == (before.id, "running")
    with workstation.login_vnc() as client:
        assert_desktop(client.settle(0.5, 20, tolerance=0.002))

    workstation.write("")
    assert "nothing to do" in workstation.up().stdout


def test_failing_step_of_a_new_workstation_leaves_nothing(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("stillborn", "apt: [no-such-package-xyz]\n")
    images = own_images(engine)

    done = workstation.run("up")

    assert done.returncode == 5
    assert own_images(engine) == images
    assert engine.find_container("stillborn") is None
    assert engine.volumes("stillborn") == ()


def fresh_package_list() -> str:
    """A config whose image was never built: building it takes seconds, whatever the caches hold."""
    return f'npm: ["cowsay@1.6.0"]\nenvironment: {{NONCE: "{uuid.uuid4().hex}"}}\napt: [cowsay, figlet, sl]\n'


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """The lines of stderr until one matches; the process must not end before."""
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"ended without {pattern!r}:\n{''.join(seen)}")


def forget(engine: Engine, workstation: Workstation) -> None:
    """Make sure that the image has to be built."""
    image = json.loads(workstation.ok("plan", "--json"))["image"]
    engine.remove_image(image, force=True)


def apt_processes() -> list[str]:
    """Package managers that run now in any build on this machine."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = status.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended between listing and reading
        if b"cowsay" in words and any(word.endswith(b"apt-get") for word in words):
            found.append(str(status))
    return found


def test_interrupted_build_ends_soon_and_the_next_up_works(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("interrupted", fresh_package_list())
    forget(engine, workstation)

    with workstation.spawn("up") as process:
        wait_for_line(process, r"apt: .*(packages)")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        seconds = time.monotonic() - began

    assert process.returncode == 130, rest
    assert seconds < INTERRUPT_SECONDS
    assert "Traceback" not in rest
    wait_for(
        "the engine to end the build",
        lambda: True if not apt_processes() else None,
        deadline_s=INTERRUPT_SECONDS,
        interval_s=0.2,
    )
    assert engine.find_container("interrupted") is None
    workstation.up()
    assert "figlet" in workstation.inside("sh", "-c", "command -v figlet")


def test_two_at_the_same_time_in_one_folder(new_workstation: NewWorkstation, engine: Engine) -> None:
    workstation = new_workstation("twice")

    with workstation.spawn("--log", "plain", "up") as first:
        workstation.started = True
        wait_for(
            "the first to hold the lock",
            lambda: True if _lock_text(workstation) else None,
            deadline_s=20,
            interval_s=0.01,
        )
        second = workstation.up()
        output, errors = first.communicate(timeout=300)

    assert first.returncode == 0, errors
    assert f"waiting for `devbox up` (process {first.pid}" in second.stderr
    assert "is ready" in output
    assert "nothing to do" in second.stdout
    assert len([view for view in engine.find_workstations() if view.name.startswith("twice-")]) == 1


def _lock_text(workstation: Workstation) -> str:
    path = workstation.folder / ".workstation" / "lock"
    return path.read_text() if path.is_file() else ""


# ------------------------------------------------------------------------------------------- services that die


def probe(engine: Engine, container: str) -> dict[str, str]:
    """What the probe finds wrong now, by phase."""
    told = json.loads(engine.run(container, ["/usr/lib/devbox/probe", "check"]).stdout)
    assert told["usable"] == (not told["red"])
    red = told["red"]
    assert isinstance(red, dict)
    return red


@pytest.mark.parametrize(
    ("service", "phases"),
    [("xvnc", {"x", "rfb"}), ("xfwm4", {"wm"}), ("xfce4-panel", {"panel"}), ("web", {"web"}), ("sshd", {"ssh"})],
)
def test_service_that_is_killed_comes_back(shared: Workstation, engine: Engine, service: str, phases: set[str]) -> None:
    container = shared.container(engine).id
    assert probe(engine, container) == {}
    pid = engine.run(container, ["s6-svstat", "-o", "pid", f"/run/service/{service}"]).stdout.decode().strip()
    # Stopped first, so that the moment of being red does not depend on how fast this machine is.
    engine.run(container, ["s6-svc", "-O", f"/run/service/{service}"])
    engine.run(container, ["kill", "-KILL", pid])
    red = wait_for("the probe to notice", look_red(engine, container, phases), deadline_s=10, interval_s=0.05)
    assert all(service in red[phase] for phase in phases)

    engine.run(container, ["s6-svc", "-u", f"/run/service/{service}"])
    wait_for("it to come back", look_green(engine, container), deadline_s=30, interval_s=0.2)

    # And by itself, when nobody told the supervisor anything.
    pid = engine.run(container, ["s6-svstat", "-o", "pid", f"/run/service/{service}"]).stdout.decode().strip()
    engine.run(container, ["kill", "-KILL", pid])
    wait_for("another process", look_other_pid(engine, container, service, pid), deadline_s=10, interval_s=0.05)
    wait_for("it to come back", look_green(engine, container), deadline_s=30, interval_s=0.2)
    with shared.login_vnc() as client:
        client.wait_picture(lambda now: not list(find_faults(now)), 20, what="the desktop")


def look_red(engine: Engine, container: str, phases: set[str]) -> Callable[[], dict[str, str] | None]:
    def look() -> dict[str, str] | None:
        red = probe(engine, container)
        return red if red.keys() >= phases else None

    return look


def look_green(engine: Engine, container: str) -> Callable[[], bool | None]:
    return lambda: None if probe(engine, container) else True


def look_other_pid(engine: Engine, container: str, service: str, pid: str) -> Callable[[], str | None]:
    def look() -> str | None:
        now = engine.run(container, ["s6-svstat", "-o", "pid", f"/run/service/{service}"]).stdout.decode().strip()
        return now if now not in (pid, "-1") else None

    return look
