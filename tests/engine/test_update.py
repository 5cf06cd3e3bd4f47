"""Changes that fail cost nobody a working workstation, an update proves itself first, and there is a way back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine
from builder.model import RenderedFile
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.relay import Trap, cut, relay

pytestmark = pytest.mark.engine_26

HEADLESS = "profile: headless\nports: {dev: false}\n"
# It can be used, and Node.js in it cannot: only a check sees that.
BROKEN = 'environment: {NODE_OPTIONS: "--no-such-option"}\n'
REFUSED = b"HTTP/1.1 500 No\r\nContent-Length: 22\r\n\r\n" + b'{"message":"a mishap"}'


@pytest.fixture(scope="module")
def steady(session_workstations: NewWorkstation) -> Workstation:
    """A workstation that runs, with work in it; each test here tries to change it in vain."""
    workstation = session_workstations("steady", HEADLESS)
    workstation.up()
    workstation.inside("sh", "-c", "echo kept >~/projects/file; echo kept >~/file")
    return workstation


def look(workstation: Workstation, engine: Engine) -> tuple[str, str]:
    """Which container it is, and since when it runs."""
    container = workstation.container(engine)
    return container.id, str(engine.inspect(container.id)["State"]["StartedAt"])


def own_images(engine: Engine) -> set[str]:
    return {image.id for image in engine.find_image_ids("dev.devbox.plan")}


@contextmanager
def changed(workstation: Workstation, config: str) -> Iterator[None]:
    """With another devbox.yaml; afterwards that of before, with which there is nothing to do."""
    workstation.write(config)
    try:
        yield
    finally:
        workstation.write(HEADLESS)
    assert "nothing to do" in workstation.up().stdout
    assert workstation.inside("sh", "-c", "cat ~/file ~/projects/file").split() == ["kept", "kept"]


# ------------------------------------------------------------------------------------------------ in vain


def test_a_failed_build_leaves_what_runs_as_it_is(steady: Workstation, engine: Engine) -> None:
    before, images = look(steady, engine), own_images(engine)
    with changed(steady, f"{HEADLESS}apt: [no-such-package-xyz]\n"):
        done = steady.run("up")
        assert done.returncode == 5, done.stderr
        assert "Unable to locate package no-such-package-xyz" in done.stderr
        assert "devbox.yaml" in done.stderr
        assert "hint: this base has no package of that name" in done.stderr
        assert own_images(engine) <= images, "an image came of it"
        assert look(steady, engine) == before
    assert look(steady, engine) == before


def test_an_interrupted_build_leaves_what_runs_as_it_is(steady: Workstation, engine: Engine, tmp_path: Path) -> None:
    before = look(steady, engine)
    with changed(steady, HEADLESS + "apt: [no-such-package-xyz]\n"):
        with signalled(steady, engine, tmp_path, r"POST /build\?", signal.SIGINT) as (code, text):
            assert code == 130, text
        assert look(steady, engine) == before


@contextmanager
def signalled(
    workstation: Workstation, engine: Engine, folder: Path, request: str, number: signal.Signals
) -> Iterator[tuple[int, str]]:
    """`up` gets a signal at a request: a killed one before the engine hears of it, others during its answer. Its exit
    code and stderr."""
    killed = number is signal.SIGKILL
    process: list[subprocess.Popen[str]] = []

    def send() -> bytes | None:
        os.kill(process[0].pid, number)
        return cut() if killed else None

    trap = Trap(request=request, act=send, moment="before" if killed else "during")
    with relay(folder, str(engine.host.socket), trap) as door:
        process.append(
            subprocess.Popen(
                workstation.argv("up"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**workstation.environment, "DOCKER_HOST": door.host},
            )
        )
        _, text = process[0].communicate(timeout=120)
        assert trap.sprung.is_set(), text
        yield process[0].returncode, text


def test_one_that_does_not_start_gives_way_to_what_was_there(
    steady: Workstation, engine: Engine, tmp_path: Path
) -> None:
    before = look(steady, engine)[0]
    trap = Trap(request=r"POST /containers/[0-9a-f]+/start", act=lambda: REFUSED)
    with changed(steady, HEADLESS + "environment: {EDITOR: vim}\n"):
        with relay(tmp_path, str(engine.host.socket), trap) as door:
            done = steady.run("up", environment={"DOCKER_HOST": door.host})
        assert done.returncode == 5, done.stderr
        assert "a mishap; steady-workstation-1 of before runs again" in done.stderr
        assert "hint: " in done.stderr
        _assert_alone(engine, before)


def test_one_that_cannot_be_used_gives_way_to_what_was_there(steady: Workstation, engine: Engine) -> None:
    """At the level locked nobody can give a home over that belongs to somebody else; at the level dev the next start
    does."""
    before = look(steady, engine)[0]
    steady.inside("sh", "-c", "sudo chown root: ~")
    with changed(steady, HEADLESS + "security: locked\n"):
        done = steady.run("up")
        assert done.returncode == 6, done.stderr
        assert "ended before it was ready; steady-workstation-1 of before runs again" in done.stderr
        assert "belongs to 0:0" in done.stderr, "the log of the one that is gone is in the message"
        (image,) = re.findall(r"hint: `devbox verify --image (devbox/headless:[0-9a-f]{12})`", done.stderr)
        assert engine.find_image(image)
        _assert_alone(engine, before)


def _assert_alone(engine: Engine, container: str) -> None:
    (left,) = engine.find_containers("steady")
    assert (left.id, left.name, left.state) == (container, "steady-workstation-1", "running")


@pytest.mark.parametrize(
    ("request_", "here"),
    [
        pytest.param(r"POST /containers/[0-9a-f]+/start", "exited", id="while both are stopped"),
        pytest.param(r"DELETE /containers/", "exited", id="when the new one can be used"),
        pytest.param(r"POST /containers/[0-9a-f]+/rename", "running", id="when the old one is gone"),
    ],
)
def test_a_switch_that_is_killed_is_finished_by_the_next_up(
    new_workstation: NewWorkstation, engine: Engine, tmp_path: Path, request_: str, here: str
) -> None:
    workstation = new_workstation("halved", HEADLESS)
    workstation.up()
    workstation.inside("sh", "-c", "echo kept >~/file")
    workstation.write(HEADLESS + "environment: {EDITOR: vim}\n")

    with signalled(workstation, engine, tmp_path, request_, signal.SIGKILL) as (code, text):
        assert code == -signal.SIGKILL, text
    assert workstation.status()["state"] == here
    done = workstation.up()

    (left,) = engine.find_containers("halved")
    assert (left.name, left.state) == ("halved-workstation-1", "running")
    assert "was cut off" in done.stderr
    assert workstation.inside("sh", "-c", "cat ~/file; echo $EDITOR").split() == ["kept", "vim"]


def test_what_a_killed_switch_left_is_taken_down_too(
    new_workstation: NewWorkstation, engine: Engine, tmp_path: Path
) -> None:
    workstation = new_workstation("quartered", HEADLESS)
    workstation.up()
    workstation.write(HEADLESS + "environment: {EDITOR: vim}\n")
    with signalled(workstation, engine, tmp_path, r"DELETE /containers/", signal.SIGKILL):
        assert len(engine.find_containers("quartered")) == 2

    workstation.ok("down")

    assert engine.find_containers("quartered") == ()


# ------------------------------------------------------------------------------------------------ an update


def make_old(workstation: Workstation, engine: Engine) -> None:
    """A lock of then, with an old version of one package, and its image."""
    new = json.loads(workstation.ok("plan", "--json"))
    lock = workstation.folder / "devbox-lock.json"
    told = json.loads(lock.read_text())
    (jq,) = [package for package in told["apt"] if package["name"] == "jq"]
    jq["version"] = "1.0"
    lock.write_text(json.dumps(told))
    old = json.loads(workstation.ok("plan", "--json"))
    stanza = r"/^Package: jq$/,/^$/s/^Version: .*/Version: 1.0/"
    label = f"LABEL dev.devbox.plan={old['id']}"
    dockerfile = f"FROM {new['image']}\nUSER root\nRUN sed -i '{stanza}' /var/lib/dpkg/status\n{label}\n"
    engine.build({"Dockerfile": RenderedFile(data=dockerfile.encode())}, {}, old["image"], lambda event: None)


def test_an_update_proves_itself_first_and_can_be_undone(new_workstation: NewWorkstation, engine: Engine) -> None:
    config = HEADLESS + "user: updated\n"  # a plan of this test's own
    workstation = new_workstation("updated", config)
    workstation.ok("build")
    make_old(workstation, engine)
    workstation.up()
    workstation.inside("sh", "-c", "echo kept >~/file")
    old = workstation.container(engine)

    told = json.loads(update(workstation, look_meanwhile=lambda: look(workstation, engine)[0] == old.id))

    new = workstation.container(engine)
    assert told["update"]["from"] == old.image
    (change,) = [item for item in told["update"]["packages"] if item["name"] == "jq"]
    assert change["before"] == "1.0"
    assert change["after"] > "1.5"
    assert told["image"] == new.image != old.image
    assert "nothing to do" in workstation.up().stdout, "a plain up stays with it"

    _assert_refused(workstation, engine, config)
    _assert_undone(workstation, engine, old.image_id, config)


def update(workstation: Workstation, *, look_meanwhile: Callable[[], bool]) -> str:
    """What `up --update --json` prints; the workstation must run while the new image is tried."""
    with workstation.spawn("up", "--update", "--json") as process:
        assert process.stderr is not None
        lines = iter(process.stderr)
        assert any("is tried beside what runs" in line for line in lines), "nothing was tried"
        assert look_meanwhile()
        rest = "".join(lines)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, rest
    return output


def _assert_refused(workstation: Workstation, engine: Engine, config: str) -> None:
    """An update to what starts and does not keep its promises: nothing of it is taken, now or later."""
    before = look(workstation, engine)
    workstation.write(config.replace("updated", "broken") + BROKEN)
    refused = workstation.run("up", "--update")
    assert refused.returncode == 7, refused.stderr
    assert "is not taken, and what ran before still runs" in refused.stderr
    assert "tooling.node" in refused.stderr
    assert look(workstation, engine) == before
    workstation.write(config)
    assert "nothing to do" in workstation.up().stdout


def _assert_undone(workstation: Workstation, engine: Engine, image: str, config: str) -> None:
    assert engine.find_image("devbox/previous:updated")
    told = json.loads(workstation.ok("rollback", "--json"))
    assert workstation.container(engine).image_id == image
    assert any(words.startswith("jq ") for words in told["rollback"]["differs"])
    assert not told["rollback"]["stays"]
    assert "nothing to do" in workstation.up().stdout

    workstation.write(config + "environment: {EDITOR: vim}\n")
    workstation.up()
    assert json.loads(workstation.ok("rollback", "--json"))["rollback"]["stays"]
    assert "`devbox rollback` went back to" in workstation.up().stderr
    workstation.ok("verify", "--only", "promises")  # by the devbox.yaml of then
    assert workstation.inside("sh", "-c", "cat ~/file; echo ${EDITOR:-none}").split() == ["kept", "none"]
    workstation.write(config + "environment: {EDITOR: nano}\n")
    workstation.up()
    assert workstation.inside("sh", "-c", "cat ~/file; echo $EDITOR").split() == ["kept", "nano"]


def test_there_may_be_nothing_to_go_back_to(new_workstation: NewWorkstation) -> None:
    done = new_workstation("forward").run("rollback")

    assert done.returncode == 5
    assert "there is nothing to go back to" in done.stderr
    assert "hint:" in done.stderr
