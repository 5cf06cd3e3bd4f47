"""Faults of `up` and `down`: things in the way, others at work, a death in the middle, a memory that is damaged."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.engine.faults.doors import busy_port, waiting_step
from tests.engine.faults.model import KILLED, Chapter, Family, Start, Trouble
from tests.engine.faults.relays import CREATE, EXEC, START, meanwhile, through
from tests.engine.faults.scene import CONFIG, Scene, plain
from tests.engine.relay import Trap

OTHER_IMAGE = "locale: en_GB.UTF-8\n"  # the least that is built anew
FOREIGN = "choose another name with `name:` in devbox.yaml"


@contextmanager
def pinned_port(scene: Scene) -> Iterator[Trouble]:
    with busy_port() as port, scene.configured(instead=ports(port, pinned=True)):
        yield Trouble()


@contextmanager
def pinned_port_of_a_container(scene: Scene) -> Iterator[Trouble]:
    with scene.configured(instead=ports(scene.bystander.port("ssh"), pinned=True)):
        yield Trouble()


@contextmanager
def busy_port_of_ours(scene: Scene) -> Iterator[Trouble]:
    with busy_port() as port, scene.configured(instead=ports(port)):
        yield Trouble()


@contextmanager
def port_that_is_stolen(scene: Scene, *, pinned: bool) -> Iterator[Trouble]:
    """Free when `up` looked, taken when the engine wants it."""
    with busy_port(listens=False) as port:
        pass
    with socket.socket() as thief, scene.configured(instead=ports(port, pinned=pinned)):

        def steal() -> None:
            thief.bind(("127.0.0.1", port))
            thief.listen(1)

        with through(Trap(request=START, act=meanwhile(steal)), scene) as trouble:
            yield trouble


def ports(ssh: int, *, pinned: bool = False) -> str:
    """A devbox.yaml that differs in this alone."""
    wanted = f"{{host: {ssh}, pinned: true}}" if pinned else str(ssh)
    return CONFIG.replace("ports: {dev: false}", f"ports: {{dev: false, ssh: {wanted}}}")


@contextmanager
def foreign_container(scene: Scene) -> Iterator[Trouble]:
    image = scene.engine.find_image_ids("dev.devbox.plan")[0].id
    made = scene.api.create_container(
        image, name=scene.container_name, labels={"com.docker.compose.project": scene.name}
    )
    yield Trouble()
    scene.api.remove_container(made["Id"])


@contextmanager
def foreign_network(scene: Scene) -> Iterator[Trouble]:
    made = scene.api.create_network(f"{scene.name}_default")
    yield Trouble()
    scene.api.remove_network(made["Id"])


@contextmanager
def foreign_volume(scene: Scene) -> Iterator[Trouble]:
    with scene.configured("name: volumes-of-others\n"):
        scene.api.create_volume("volumes-of-others_home")
        yield Trouble()
        scene.api.remove_volume("volumes-of-others_home")


@contextmanager
def name_of_another(scene: Scene) -> Iterator[Trouble]:
    with scene.configured(f"name: {scene.bystander.folder.name}\n"):
        yield Trouble()


@contextmanager
def network_in_use(scene: Scene) -> Iterator[Trouble]:
    """Somebody else's container hangs on the workstation's network."""
    image = scene.engine.find_image_ids("dev.devbox.plan")[0].id
    made = scene.api.create_container(
        image,
        entrypoint=["sleep", "600"],
        host_config=scene.api.create_host_config(network_mode=f"{scene.name}_default"),
    )
    scene.api.start(made["Id"])
    yield Trouble()
    scene.api.remove_container(made["Id"], force=True)


@contextmanager
def killed_at(request: str, scene: Scene, *, nth: int = 1) -> Iterator[Trouble]:
    """SIGKILL when the engine is to be asked for something."""
    found: list[subprocess.Popen[str]] = []

    def kill() -> None:
        found[0].kill()

    with through(Trap(request=request, act=meanwhile(kill), nth=nth), scene) as trouble:
        yield Trouble(environment=trouble.environment, during=found.append)


@contextmanager
def interrupted_at(request: str, number: signal.Signals, scene: Scene) -> Iterator[Trouble]:
    found: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        scene.send(found[0], number)

    with through(Trap(request=request, act=meanwhile(interrupt)), scene) as trouble:
        yield Trouble(environment=trouble.environment, during=found.append)


@contextmanager
def another_at_work(verb: str, scene: Scene) -> Iterator[Trouble]:
    """Another devbox works in the folder, until this one has said that it waits for it."""
    with waiting_step(scene) as hold, scene.subject.spawn(*verb.split()) as other:
        hold.arrived()

        def act(process: subprocess.Popen[str]) -> None:
            assert process.stderr is not None
            for line in process.stderr:
                if "waiting for" in line:
                    scene.heard.append(line)
                    break
            hold.release()

        yield Trouble(during=act)
        assert other.wait(120) == 0


@contextmanager
def lock_that_is_held(number: signal.Signals, scene: Scene) -> Iterator[Trouble]:
    """SIGINT while devbox waits for another one that works in the folder."""
    lock = scene.subject.folder / ".workstation/lock"
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def act(process: subprocess.Popen[str]) -> None:
            assert process.stderr is not None
            scene.heard.append(next(line for line in process.stderr if "waiting for" in line))
            scene.send(process, number)

        yield Trouble(during=act)


@contextmanager
def lock_of_the_dead(scene: Scene) -> Iterator[Trouble]:
    lock = scene.subject.folder / ".workstation/lock"
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    told = {"pid": gone.pid, "host": os.uname().nodename, "user": "root", "verb": "up", "since": 1.0}
    lock.write_text(json.dumps(told))
    with scene.configured():
        yield Trouble()


@contextmanager
def folder_for_lock(scene: Scene) -> Iterator[Trouble]:
    lock = scene.subject.folder / ".workstation/lock"
    lock.unlink()
    lock.mkdir()
    with scene.configured():
        yield Trouble()
    lock.rmdir()


@contextmanager
def damaged(name: str, text: str | None, scene: Scene) -> Iterator[Trouble]:
    """A file below .workstation with other content, or none; then the old one again."""
    before = damage(scene, name, text)
    if name != "state.json":
        damage(scene, "state.json", None)  # so that `up` does more than to look
    yield Trouble()
    (scene.subject.folder / ".workstation" / name).write_bytes(before)


def damage(scene: Scene, name: str, text: str | None) -> bytes:
    file = scene.subject.folder / ".workstation" / name
    before = file.read_bytes()
    file.unlink() if text is None else file.write_text(text)
    return before


@contextmanager
def half_of_state(scene: Scene) -> Iterator[Trouble]:
    text = (scene.subject.folder / ".workstation/state.json").read_text()
    with damaged("state.json", text[: len(text) // 2], scene) as trouble:
        yield trouble


@contextmanager
def newer_state(scene: Scene) -> Iterator[Trouble]:
    told = json.loads((scene.subject.folder / ".workstation/state.json").read_text())
    with scene.configured(), damaged("state.json", json.dumps({**told, "format": 99}), scene) as trouble:
        yield trouble


@contextmanager
def own_folder_is_a_link(scene: Scene) -> Iterator[Trouble]:
    ours = scene.subject.folder / ".workstation"
    away = scene.folder / "away"
    ours.rename(away)
    ours.symlink_to(away)
    with scene.configured():
        yield Trouble()
    ours.unlink()
    away.rename(ours)


@contextmanager
def folder_for_a_file(scene: Scene) -> Iterator[Trouble]:
    """A person made a folder where a rendered file goes."""
    ours = scene.subject.folder / ".workstation/Dockerfile"
    before = ours.read_bytes()
    ours.unlink()
    ours.mkdir()
    with scene.configured():
        yield Trouble()
    ours.rmdir()
    ours.write_bytes(before)


@contextmanager
def container(act: str, scene: Scene) -> Iterator[Trouble]:
    """What somebody did to the container behind devbox's back."""
    getattr(scene.api, act)(scene.container_name, **({"force": True} if act == "remove_container" else {}))
    yield Trouble()


@contextmanager
def image_removed(scene: Scene) -> Iterator[Trouble]:
    with scene.configured(OTHER_IMAGE):
        scene.subject.up()
        image = scene.api.inspect_container(scene.container_name)["Config"]["Image"]
        scene.subject.ok("down")
        scene.engine.remove_image(image, force=True)
        yield Trouble()


@contextmanager
def killed_while_waited_for(scene: Scene) -> Iterator[Trouble]:
    """The container is killed, for good, as soon as `up` asks how it does."""

    before: list[dict[str, object]] = []

    def kill() -> None:
        before.append(scene.api.inspect_container(scene.container_name)["HostConfig"]["RestartPolicy"])
        scene.api.update_container(scene.container_name, restart_policy={"Name": "no"})
        scene.api.kill(scene.container_name)

    with through(Trap(request=EXEC, act=meanwhile(kill)), scene) as trouble:
        yield trouble
    scene.api.update_container(scene.container_name, restart_policy=before[0])


@contextmanager
def never_healthy(scene: Scene) -> Iterator[Trouble]:
    """The key of its SSH server is no key, so that this never starts."""
    key = scene.subject.secrets() / "ssh_host_ed25519_key"
    before = key.read_bytes()
    key.write_bytes(b"no key\n")
    yield Trouble()
    key.write_bytes(before)
    scene.subject.ok("up", "--recreate")  # as the hint says: this start has failed for good


row = Chapter(family=Family.LIFE).row
NETWORK, VOLUME, REMOVE = r"POST /networks/create", r"POST /volumes/create", r"DELETE /containers/"

LIFE = (
    row(
        "port-of-a-process",
        "a program of this machine has the pinned port",
        pinned_port,
        8,
        "), and `ssh` is pinned to it",
        "`pinned: false`",
    ),
    row(
        "port-of-a-container",
        "another container has the pinned port",
        pinned_port_of_a_container,
        8,
        "bystander-workstation-1, and `ssh` is pinned to it",
        "`pinned: false`",
    ),
    row("port-busy", "a port that is not pinned is busy", busy_port_of_ours, 0, "instead", seconds=20),
    row(
        "port-stolen",
        "a port is taken after `up` found it free",
        partial(port_that_is_stolen, pinned=False),
        0,
        "instead",
        seconds=20,
    ),
    row(
        "port-stolen-pinned",
        "the same, and the port is pinned",
        partial(port_that_is_stolen, pinned=True),
        8,
        "is taken by",
        "`pinned: false`",
        resumes=True,
        start=Start.ABSENT,
    ),
    row(
        "foreign-container",
        "somebody else's container has the name",
        foreign_container,
        5,
        "exists and was not made by devbox",
        FOREIGN,
        start=Start.ABSENT,
    ),
    row(
        "foreign-network",
        "somebody else's network has the name",
        foreign_network,
        5,
        "exists and was not made by devbox",
        FOREIGN,
        start=Start.ABSENT,
    ),
    row(
        "foreign-volume",
        "somebody else's volume has the name",
        foreign_volume,
        5,
        "exists and was not made by devbox",
        FOREIGN,
    ),
    row(
        "other-folder",
        "the workstation of that name belongs to another folder",
        name_of_another,
        5,
        "belongs to another folder",
        "choose another name with `name:`",
    ),
    row(
        "network-in-use",
        "somebody else's container hangs on the workstation's network",
        network_in_use,
        5,
        "has active endpoints",
        "disconnect it",
        resumes=True,
        verb="down",
    ),
    row(
        "up-beside-up",
        "another `up` works in the folder",
        partial(another_at_work, "up"),
        0,
        "waiting for `devbox up`",
        seconds=120,
    ),
    row(
        "down-beside-up",
        "an `up` works in the folder, and `down` is called",
        partial(another_at_work, "up"),
        0,
        "waiting for `devbox up`",
        verb="down",
        seconds=120,
    ),
    row(
        "interrupted-in-wait",
        "SIGINT while it waits for another devbox",
        partial(lock_that_is_held, signal.SIGINT),
        130,
        "interrupted",
        verb="down",
    ),
    row("lock-of-the-dead", "the lock names a process that is dead", lock_of_the_dead, 0, "is ready"),
    row(
        "lock-is-a-folder",
        "the lock is no file",
        folder_for_lock,
        8,
        "is no plain file, and cannot be locked",
        "remove it: `rm -r",
    ),
    *(
        row(
            f"killed-at-{what}",
            f"SIGKILL when it is to {act}",
            partial(killed_at, request),
            KILLED,
            "",
            start=Start.ABSENT,
            resumes=True,
            again=True,
        )
        for what, act, request in (
            ("network", "make the network", NETWORK),
            ("container", "make the container", CREATE),
            ("start", "start the container", START),
            ("wait", "wait for the workstation", EXEC),
        )
    ),
    row(
        "killed-in-down",
        "SIGKILL of `down` when it is to remove the container",
        partial(killed_at, REMOVE),
        KILLED,
        "",
        verb="down",
        resumes=True,
    ),
    row(
        "terminated-at-start",
        "SIGTERM when it is to start the container",
        partial(interrupted_at, START, signal.SIGTERM),
        130,
        "interrupted",
        start=Start.ABSENT,
        resumes=True,
        again=True,
    ),
    row("container-killed", "the container was killed", partial(container, "kill"), 0, "is ready", seconds=20),
    row("container-paused", "the container was paused", partial(container, "pause"), 0, "is ready", seconds=20),
    row(
        "container-removed",
        "the container was removed",
        partial(container, "remove_container"),
        0,
        "is ready",
        seconds=20,
    ),
    row(
        "container-stopped",
        "a command is to run in a container that was stopped",
        partial(container, "stop"),
        5,
        "not running",
        "`devbox start`",
        resumes=True,
        verb="exec true",
    ),
    row(
        "no-workstation",
        "there is none to run a command in",
        plain(Trouble()),
        5,
        "there is no workstation",
        "`devbox up` makes one",
        verb="exec true",
        start=Start.ABSENT,
    ),
    row("image-removed", "the image was removed", image_removed, 0, "is ready", seconds=120, pace="long"),
    row(
        "killed-while-waited-for",
        "the container dies while `up` waits for it",
        killed_while_waited_for,
        6,
        "ended before it was ready",
        "`devbox logs`",
        start=Start.ABSENT,
        seconds=30,
        resumes=True,
    ),
    row(
        "never-healthy",
        "its SSH server never comes up",
        never_healthy,
        6,
        "runs, but cannot be used: ssh",
        "`devbox up --recreate`",
        resumes=True,
        start=Start.ABSENT,
        seconds=120,
        pace="slow",
    ),
    row(
        "state-corrupt",
        "the state file holds something else",
        partial(damaged, "state.json", "\0\1\2"),
        3,
        "state.json: is damaged",
        "it holds no data of yours",
    ),
    row(
        "state-half",
        "the state file is cut in half",
        half_of_state,
        3,
        "state.json: is damaged",
        "it holds no data of yours",
    ),
    row(
        "state-newer",
        "the state file is of a newer devbox",
        newer_state,
        3,
        "was written by a newer devbox",
        "use the newer devbox",
    ),
    row(
        "state-gone", "the state file is gone", partial(damaged, "state.json", None), 0, "ssh://127.0.0.1:", seconds=20
    ),
    row(
        "manifest-corrupt",
        "the list of rendered files is damaged",
        partial(damaged, "manifest.json", "[[["),
        0,
        "ssh://127.0.0.1:",
    ),
    row(
        "own-folder-is-a-link",
        ".workstation is a link",
        own_folder_is_a_link,
        8,
        "is a link, and may lead anywhere",
        "remove it",
    ),
    row(
        "folder-in-the-way",
        "a folder has the name of a file that devbox writes",
        folder_for_a_file,
        8,
        "is in the way and no file of devbox",
        "move it away",
    ),
    row(
        "volumes-unasked",
        "`down --volumes` where nobody can be asked",
        plain(Trouble()),
        2,
        "this would destroy",
        "--yes",
        verb="down --volumes",
    ),
)
