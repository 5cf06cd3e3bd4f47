"""What goes wrong for reasons that can be foreseen, where there is more to see than the table of `faults` looks at."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation

INTERRUPT_SECONDS = 10


# ------------------------------------------------------------------------------------------------ the engine


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


# ------------------------------------------------------------------------------------------------------ ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A program of this machine that holds a port: this one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server


def test_busy_port_is_replaced_said_and_remembered(new_workstation: NewWorkstation, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    workstation = new_workstation("busy", f"profile: headless\nports: {{ssh: {port}}}\n")

    done = workstation.up()

    got = workstation.port("ssh")
    assert got != port
    assert re.search(rf"port {port} \(ssh\) is taken by .*\(process {os.getpid()}\): {got} instead", done.stderr)
    listener.close()
    workstation.ok("down")
    again = workstation.up()
    assert workstation.port("ssh") == got
    assert not [line for line in again.stderr.splitlines() if "(ssh)" in line and "instead" in line]


# ------------------------------------------------------------------------------------------------------ builds


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
        if any(word.startswith(b"cowsay") for word in words) and any(word.endswith(b"apt-get") for word in words):
            found.append(str(status))
    return found


@pytest.mark.long  # `test_converge` interrupts a build that needs no network; here the package manager is at work
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
