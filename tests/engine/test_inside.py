"""What dies or runs wild inside: services are killed, the container is, memory and processes run out."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from builder.adapters.clock import wait_for
from tests.engine.boxes import HOME, Box, notes

pytestmark = pytest.mark.engine_26

SERVICES = ("bus", "ingest", "sshd", "web", "xfce4-panel", "xfconfd", "xfdesktop", "xfsettingsd", "xfwm4", "xvnc")
KILLS, LONG_KILLS = 4, 50
BACK_S = 15.0


# ------------------------------------------------------------------------------------------- services that die


@pytest.mark.parametrize("service", SERVICES)
def test_service_that_is_killed_comes_back_and_health_is_red_meanwhile(boxes: Mapping[str, Box], service: str) -> None:
    box = boxes["dev"]
    box.await_green()
    pid = box.pid(service)
    phases = {line.split()[0] for line in box.told(f"cat /usr/lib/devbox/services/{service}/ready").splitlines()}
    # Kept down first, so that the moment of being red does not depend on how fast this machine is.
    box.told(f"s6-svc -O /run/service/{service} && kill -KILL {pid}")
    red = wait_for(
        "red health", lambda: found if (found := box.red()).keys() & phases else None, deadline_s=10, interval_s=0.05
    )
    assert all(red[phase].startswith(f"{service}: ") for phase in phases & red.keys())
    box.told(f"s6-svc -u /run/service/{service}")
    box.await_green()

    # And by itself, when nobody told the supervisor anything.
    pid = box.pid(service)
    box.told(f"kill -KILL {pid}")
    box.await_another(service, pid)
    assert box.await_green() < BACK_S
    box.assert_picture()


def test_whoever_kills_all_that_they_may_has_a_desktop_again(box: Box) -> None:
    box.await_green()
    before = box.pid("xvnc")

    box.user("kill -KILL -1")  # itself, too; at the level locked also the supervisors

    box.await_another("xvnc", before)
    assert box.await_green() < 2 * BACK_S
    box.assert_picture()


def test_logger_that_is_killed_comes_back_and_goes_on_writing(box: Box) -> None:
    box.await_green()
    logger, server = box.pid("xvnc/log"), box.pid("xvnc")
    starts = "cat /run/devbox/log/xvnc/* | grep -c 'Xvnc TigerVNC'"
    before = int(box.told(starts))

    box.told(f"kill -KILL {logger}")
    box.await_another("xvnc/log", logger)
    assert box.red() == {}

    box.told(f"kill -KILL {server}")  # what it says at its next start arrives
    wait_for("a line", lambda: int(box.told(starts)) > before or None, deadline_s=20, interval_s=0.1)
    box.await_green()


def test_service_that_does_not_stay_makes_health_red_for_good_and_status_says_which(boxes: Mapping[str, Box]) -> None:
    box = boxes["dev"]
    box.await_green()
    run = "/run/service/xfwm4/run"
    deaths = "s6-svdt /run/service/xfwm4 | wc -l"
    before = int(box.told(deaths))
    try:
        box.told(f"mv {run} {run}.sound && printf '#!/bin/sh\\nexit 7\\n' >{run} && chmod 755 {run}")
        box.told(f"kill -KILL {box.pid('xfwm4')}")
        began = time.monotonic()
        wait_for(
            "the engine to call it unhealthy",
            lambda: True if box.workstation.container(box.engine).health == "unhealthy" else None,
            deadline_s=30,
            interval_s=0.5,
        )
        assert time.monotonic() - began < 25
        said = box.workstation.ok("status")
        assert "xfwm4: no window manager runs on the display; it ended" in said
        assert "the last time with exit code 7" in said
        assert int(box.told(deaths)) - before <= time.monotonic() - began + 5, "the supervisor holds it to one a second"
    finally:
        box.told(f"mv {run}.sound {run}")
    wait_for("a start", lambda: True if "wm" not in box.red() else None, deadline_s=15, interval_s=0.2)
    # It shows what it should again; that it did not stay is remembered for a minute.
    assert set(box.red()) <= {"xfwm4"}
    box.restart()
    box.await_green(deadline_s=5)  # nothing is remembered; what comes after the first picture may take a moment


# --------------------------------------------------------------------------------------- the container is killed


def kill_and_look(box: Box) -> None:
    messages = box.restart()
    assert notes(messages) == ""
    assert box.red().keys() <= {"ingest", "theme"}, "what comes after the first picture"
    box.assert_picture()


@pytest.mark.parametrize("run", range(KILLS))
def test_container_that_is_killed_starts_clean(boxes: Mapping[str, Box], run: int) -> None:
    kill_and_look(boxes["dev" if run % 2 else "locked"])


@pytest.mark.long
@pytest.mark.parametrize("run", range(LONG_KILLS))
def test_container_that_is_killed_always_starts_clean(box: Box, run: int) -> None:
    time.sleep(run % 10 / 10)  # also in the middle of a start, and of what comes late
    kill_and_look(box)


def test_container_that_is_killed_in_the_middle_of_a_start_starts_clean(box: Box) -> None:
    for _ in range(3):
        box.engine.kill(box.container)
        box.engine.wait(box.container, timeout_s=30)
        box.engine.start(box.container)
        wait_for(
            "the first phase",
            lambda: True if box.root("grep -q bus /run/devbox/ready.json").code == 0 else None,
            deadline_s=20,
            interval_s=0.01,
        )
    kill_and_look(box)


def test_what_an_x_server_left_behind_does_not_keep_the_next_one_away(box: Box) -> None:
    box.await_green()
    box.told("s6-svc -wd -T 10000 -d /run/service/xvnc")
    # The id of a process that lives and is no X server: our PID 1.
    box.told("printf '%10d\\n' 1 >/tmp/.X1-lock && rm -f /tmp/.X11-unix/X1 && : >/tmp/.X11-unix/X1")
    box.told("s6-svc -u /run/service/xvnc")
    assert box.await_green() < BACK_S
    assert box.root("grep -w 1 /tmp/.X1-lock").code != 0


# --------------------------------------------------------------------------------------------------- limits


def test_program_that_eats_memory_is_killed_and_the_desktop_is_not(box: Box) -> None:
    box.await_green()
    before = {name: box.pid(name) for name in ("xvnc", "bus", "xfconfd")}
    greedy = "x = bytearray(b'x') * (1 << 31)"
    one = box.engine.run(box.container, ["python3", "-c", greedy], user="dev")
    # Many, each smaller than the X server: of equals the kernel takes the largest.
    small = 'python3 -c "import time; x = bytearray(b\\"x\\") * (20 << 20); time.sleep(5)"'
    script = f"for i in {{1..60}}; do {small} & done; wait; true"
    many = box.engine.run(box.container, ["zsh", "-ic", script], user="dev", env=HOME, timeout_s=60)

    assert one.code == 137
    assert many.code == 0
    assert {name: box.pid(name) for name in before} == before
    box.await_green()
    box.assert_picture()


FORKS = """
import os, time
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            continue
    except OSError:
        time.sleep(0.05)
"""


def end_bomb(box: Box) -> bool | None:
    """Stopped first: what stands still starts nothing while the others are killed. None while some are left."""
    for signal in ("STOP", "KILL"):
        box.engine.run(box.container, ["pkill", f"-{signal}", "-f", "monotonic"], user="dev")
    return True if box.engine.run(box.container, ["pgrep", "-f", "monotonic"], user="dev").code == 1 else None


def test_fork_bomb_is_held_named_and_can_be_ended(box: Box) -> None:
    box.await_green()
    box.engine.run(box.container, ["sh", "-c", f"python3 -c '{FORKS}' </dev/null >/dev/null 2>&1 &"], user="dev")
    try:
        reason = wait_for("the limit", lambda: box.red().get("processes"), deadline_s=30, interval_s=0.2)
        assert "of 300 processes run (resources.pids), and no more can be started" in reason
        done = box.workstation.run("exec", "--", "ls", "/")
        assert done.returncode == 0 or "ls cannot be run in the workstation" in done.stderr, done.stderr
        assert box.workstation.run("status").returncode == 0
    finally:
        wait_for("the end of the bomb", lambda: end_bomb(box), deadline_s=30, interval_s=0.1)
    box.await_green(deadline_s=75)  # where it cannot fork, the supervisor tries again after a minute
    box.assert_picture()


def test_shared_memory_has_the_size_that_was_asked_for(box: Box) -> None:
    assert box.told("df --output=size /dev/shm | tail -1") == str(100 * 1024)
    done = box.user("head -c 101m /dev/zero >/dev/shm/x; code=$?; rm /dev/shm/x; exit $code")
    assert done.code != 0
    assert b"No space left" in done.stderr
