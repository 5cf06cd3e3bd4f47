"""A machine without an engine, or a right to it, gets both by `devbox host setup`: a container with sshd and sudo.

It is made of the image of a headless workstation, which has both, with nothing of devbox running in it.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import socket
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation

PASSWORD = "open the gate"  # of nobody but the container's user
# What the container is: its SSH server takes the ended processes of others away, too.
BEGIN = """
set -e
mkdir -p /run/sshd /home/dev/.ssh
cp /mnt/key.pub /home/dev/.ssh/authorized_keys
chown -R dev /home/dev/.ssh && chmod 700 /home/dev/.ssh && chmod 600 /home/dev/.ssh/authorized_keys
ssh-keygen -A >/dev/null
echo 'dev:open the gate' | chpasswd
exec /usr/sbin/sshd -D -f /dev/null -o PidFile=none
"""
# An engine that runs there: this machine's own, behind a socket for root and a group.
RELAY = """
import grp, os, socket, threading
def carry(one, other):
    while data := one.recv(65536):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)
server = socket.socket(socket.AF_UNIX)
server.bind('/var/run/docker.sock')
os.chown('/var/run/docker.sock', 0, grp.getgrnam('docker').gr_gid)
os.chmod('/var/run/docker.sock', 0o660)
server.listen()
while True:
    near, _ = server.accept()
    far = socket.socket(socket.AF_UNIX)
    far.connect('/mnt/engine.sock')
    for pair in ((near, far), (far, near)):
        threading.Thread(target=carry, args=pair, daemon=True).start()
"""
# Whoever holds the lock of apt until it is told to end.
HOLD = """
import fcntl, os, pathlib, signal
file = open('/var/lib/apt/lists/lock', 'w')
fcntl.lockf(file, fcntl.LOCK_EX)
pathlib.Path('/run/holds-apt').write_text(str(os.getpid()))
signal.pause()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    engine: Engine
    container: str
    person: Workstation  # somebody here, with a key for it
    url: str

    def root(self, script: str) -> str:
        done = self.engine.run(self.container, ["sh", "-c", script], user="root")
        assert done.code == 0, done.stderr
        return done.stdout.decode()

    def spawn(self, program: str, ready: str) -> None:
        """A program of root's there that goes on; its file `ready` says that it is so far."""
        api: Any = docker.APIClient(base_url=self.engine.host.url)
        words = api.exec_create(self.container, ["python3", "-c", program], user="root")
        api.exec_start(words["Id"], detach=True)
        api.close()
        self.root(f"timeout 20 sh -c 'until [ -e {ready} ]; do sleep 0.05; done'")


@pytest.fixture(scope="module")
def image(session_workstations: NewWorkstation) -> str:
    made = session_workstations("machine", "name: machine\nprofile: headless\n")
    return str(json.loads(made.ok("build", "--json"))["image"])


@contextmanager
def run_machine(
    engine: Engine, image: str, environment: Mapping[str, str], folder: Path, **host: object
) -> Iterator[Machine]:
    """`environment` is of the person's; `host` what the engine is told beside it."""
    (folder / "home/.ssh").mkdir(parents=True, mode=0o700)
    (folder / "run").mkdir(mode=0o700)
    (folder / "home/.ssh/config").write_text("StrictHostKeyChecking accept-new\n")
    key = folder / "home/.ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    own = {"HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "run"), "SSH_AUTH_SOCK": ""}
    person = Workstation(folder=folder, environment={**environment, **own, "XDG_STATE_HOME": str(folder / "state")})
    api: Any = docker.APIClient(base_url=engine.host.url)
    binds = [f"{key}.pub:/mnt/key.pub:ro", f"{engine.host.socket}:/mnt/engine.sock"]
    made = api.create_container(
        image, entrypoint=["sh", "-c", BEGIN], user="root", volumes=["/var/lib/docker"],
        host_config=api.create_host_config(binds=binds, **host),
    )["Id"]  # fmt: skip
    try:
        api.start(made)
        (network,) = api.inspect_container(made)["NetworkSettings"]["Networks"].values()
        address = network["IPAddress"]

        def greets() -> bool | None:
            with suppress(OSError), socket.create_connection((address, 22), 1) as wire:
                return wire.recv(4) == b"SSH-" or None
            return None

        wait_for("sshd to answer", greets, deadline_s=30, interval_s=0.05, why=lambda: str(api.logs(made)))
        yield Machine(engine=engine, container=made, person=person, url=f"ssh://dev@{address}")
    finally:
        person.run("tunnel", "stop")
        api.remove_container(made, v=True, force=True)
        api.close()
        shutil.rmtree(folder)


def talk(person: Workstation, arguments: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run `devbox` on a terminal and answer each question when it stands there; a password when nothing is shown any
    more of what is typed. Its exit code, and all that was to be seen."""
    near, far = pty.openpty()
    environment = {**person.environment, "TERM": "dumb"}
    argv = person.argv(*arguments)
    said = ""

    def read() -> bool:
        nonlocal said
        assert select.select([near], [], [], 60)[0], said
        try:
            said += os.read(near, 65536).decode()
        except OSError:  # the other end is closed
            return False
        return True

    with subprocess.Popen(argv, stdin=far, stdout=far, stderr=far, env=environment, start_new_session=True) as process:
        os.close(far)
        try:
            for question, answer in answers:
                seen = len(said)
                while question not in said[seen:]:
                    assert read(), said
                if "for sudo" in question:
                    hidden = lambda: None if termios.tcgetattr(near)[3] & termios.ECHO else True  # noqa: E731
                    wait_for("a hidden question", hidden, deadline_s=10, interval_s=0.01)
                os.write(near, f"{answer}\n".encode())
            while read():
                pass
            return process.wait(60), said
        finally:
            process.kill()
            os.close(near)


def test_a_person_is_let_to_the_engine_after_the_command_was_shown_and_sudos_password_is_kept_nowhere(
    engine: Engine, image: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with run_machine(engine, image, environment, tmp_path / "m") as machine:
        machine.root("groupadd docker; rm -f /etc/sudoers.d/*; usermod -aG sudo dev")
        machine.spawn(RELAY, "/var/run/docker.sock")
        shown = machine.person.ok("host", "setup", machine.url, "--dry-run")
        assert "sudo usermod --append --groups docker dev" in shown
        assert "apt-get" not in shown
        nobody = machine.person.run("host", "setup", machine.url, "--yes")
        assert (nobody.returncode, "got none" in nobody.stderr) == (8, True)
        assert "docker" not in machine.root("id -nG dev")

        answers = [("run this there?", "y"), ("for sudo: ", "wrong"), ("for sudo: ", PASSWORD)]
        code, said = talk(machine.person, ["host", "setup", machine.url], answers)
        assert code == 0, said
        assert "✓ engine " in said
        assert "docker" in machine.root("id -nG dev")
        assert PASSWORD not in said
        logs = [path for path in (tmp_path / "m/state").rglob("*") if path.is_file()]
        assert logs
        assert not any(PASSWORD.encode() in path.read_bytes() for path in logs)
        assert "nothing to do" in machine.person.ok("host", "setup", machine.url)


@pytest.mark.long
def test_an_engine_is_installed_and_started_on_a_machine_that_has_none(
    engine: Engine, image: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    rights = {"cap_add": ["SYS_ADMIN", "NET_ADMIN"], "security_opt": ["seccomp=unconfined"]}
    with run_machine(engine, image, environment, tmp_path / "m", **rights) as machine:
        # The limits that its script sets take a right that an engine in a container may not have to give.
        machine.root("echo 'ulimit() { :; }' >/etc/default/docker")
        machine.spawn(HOLD, "/run/holds-apt")
        with machine.person.spawn("host", "setup", machine.url, "--yes") as setup:
            assert setup.stderr is not None
            assert setup.stdout is not None
            for line in setup.stderr:
                if "waiting for it" in line:
                    machine.root('kill "$(cat /run/holds-apt)"')
                    break
            assert setup.wait(300) == 0, setup.stderr.read()
            assert "✓ engine " in setup.stdout.read()
        assert machine.person.ok("hosts", "--host", machine.url).startswith(machine.url)
        assert "nothing to do" in machine.person.ok("host", "setup", machine.url)
        machine.root("service docker stop && rm -f /var/run/docker.sock")
        again = machine.person.ok("host", "setup", machine.url, "--yes")
        assert "service docker start" in again
        assert "apt-get" not in again
        assert "✓ engine " in again
