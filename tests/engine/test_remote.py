"""A workstation on another machine: all of it through one SSH connection, which may break."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.adapters.clock import monotonic, wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.core.labels import LABEL_WORKSPACE
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.ssh_host import SshHost, ssh_host
from tests.engine.test_doc_blocks import write_catalogue

CONFIG = "name: far\nprofile: headless\nports: {dev: [8123]}\n"
SERVER = "cd /tmp && echo over there >index.html && setsid python3 -m http.server 8123 >/dev/null 2>&1 &"
BACK_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    machine: SshHost
    workstation: Workstation
    sent: float  # MB, when its image came there

    def fetch(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.workstation.port('dev')}/", timeout=5) as answer:
            return str(answer.read().decode())

    def await_page(self, port: int) -> float:
        """Seconds until the page can be had again."""
        began = monotonic()

        def look() -> bool | None:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return bool(answer.read()) or None
            return None

        wait_for("the page to come back", look, deadline_s=BACK_S, interval_s=0.1)
        return monotonic() - began

    def tunnel(self) -> dict[str, object]:
        (found,) = json.loads(self.workstation.ok("tunnel", "status", "--json"))
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh_host(tmp_path_factory.mktemp("m") / "h") as found:
        yield found


@pytest.fixture
def strict_machine(machine: SshHost) -> Iterator[SshHost]:
    """One whose SSH server and settings a test changes."""
    machine.configure()
    yield machine
    machine.serve()
    machine.configure(*machine.usual)


@pytest.fixture(scope="module")
def there(machine: SshHost, session_folder: Path, environment: Mapping[str, str]) -> Iterator[Workstation]:
    """A workspace whose devbox.yaml names the machine; nothing is made of it yet."""
    folder = session_folder / "far"
    folder.mkdir()
    workstation = Workstation(folder=folder, environment={**environment, **machine.person()})
    workstation.write(f"{CONFIG}host: {machine.url}\n")
    try:
        yield workstation
    finally:
        workstation.run("tunnel", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def far(machine: SshHost, there: Workstation, session_workstations: NewWorkstation) -> Iterator[Far]:
    """A headless workstation over there; its image is built here, where another one has it already."""
    near = session_workstations("near", CONFIG.replace("far", "near"))
    near.up()
    shutil.copy(near.folder / "devbox-lock.json", there.folder)
    sent = find_sent(there.up("--build-here").stderr)
    there.inside("sh", "-c", SERVER)
    yield Far(machine=machine, workstation=there, sent=sent)
    there.take_away()
    assert connect_engine({"DOCKER_HOST": machine.engine.host}).volumes("far") == ()


def find_sent(told: str) -> float:
    (megabytes,) = re.findall(r" is there, (\S+) MB went over", told)
    return float(megabytes)


def test_of_an_image_that_is_built_here_only_what_is_missing_there_travels(far: Far, engine: Engine) -> None:
    write_catalogue(far.workstation.folder / "own")
    config = (far.workstation.folder / "devbox.yaml").read_text()
    far.workstation.write(f"{config}catalogue: own\ntools: [mine]\n")
    sent = find_sent(far.workstation.up("--build-here").stderr)
    far.workstation.inside("sh", "-c", SERVER)  # as `far` is handed on
    assert far.workstation.inside("mine", "--version") == "mine 1.2.3\n"
    image = str(far.workstation.status()["image"])
    there = connect_engine({"DOCKER_HOST": far.machine.engine.host})
    one, other = engine.find_image(image), there.find_image(image)
    assert one is not None
    assert other is not None
    assert (one.id, one.labels) == (other.id, other.labels)
    assert sent < 5 < 50 < far.sent


@pytest.mark.long
def test_an_image_whose_way_there_is_broken_off_leaves_nothing_and_the_next_one_arrives(far: Far) -> None:
    """By Ctrl-C, while a layer of 50 MB is on its way."""
    own = far.workstation.folder / "own"
    if not own.exists():  # the test before was not chosen
        write_catalogue(own)
        config = (far.workstation.folder / "devbox.yaml").read_text()
        far.workstation.write(f"{config}catalogue: own\ntools: [mine]\n")
    (own / "rootfs/mine/opt").mkdir()
    (own / "rootfs/mine/opt/data").write_bytes(os.urandom(50_000_000))
    rest = far.machine.engine.data / "tmp"
    before = {path.name for path in rest.iterdir()}
    with far.workstation.spawn("--log", "plain", "build", "--build-here") as process:
        assert process.stderr is not None
        assert any(line.startswith("▸ send ") for line in process.stderr)
        wait_for(
            "the image to arrive over there",
            lambda: True if any(rest.glob("docker-import-*/*")) else None, deadline_s=60, interval_s=0.02,
        )  # fmt: skip
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    wait_for(
        "the engine to tidy up",
        lambda: True if {path.name for path in rest.iterdir()} <= before else None, deadline_s=10, interval_s=0.05,
    )  # fmt: skip
    assert find_sent(far.workstation.run("build", "--build-here").stderr) >= 50


def test_files_go_there_and_back(far: Far, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(5_000_000))
    far.workstation.ok("cp", str(folder), ":/tmp")
    assert far.workstation.inside("stat", "-c", "%U %s", "/tmp/folder/data") == "dev 5000000\n"
    far.workstation.ok("cp", ":/tmp/folder/data", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (folder / "data").read_bytes()


def test_it_is_as_if_it_were_here(far: Far) -> None:
    there = far.workstation
    assert "nothing to do" in there.ok("up")
    assert there.inside("id", "-un").strip() == "dev"
    assert far.fetch() == "over there\n"
    assert "far " in there.ok("hosts")
    there.ok("verify", "--only", "promises,ports,doors")


def test_a_port_inside_that_is_not_published_is_reached_when_asked_for(far: Far) -> None:
    far.workstation.inside("sh", "-c", SERVER.replace("8123", "8124"))
    far.await_page(int(far.workstation.ok("forward", "8124").rpartition(":")[2]))


def test_nothing_is_published_over_there_but_on_its_loopback(far: Far) -> None:
    for name in ("dev", "ssh"):
        with pytest.raises(OSError, match="refused"), socket.socket() as knock:
            knock.connect((far.machine.address, far.workstation.port(name)))


def test_secrets_are_root_alone_to_read_and_follow_what_changes_here(far: Far) -> None:
    listed = far.workstation.ok("exec", "--", "sudo", "ls", "-ln", "/run/secrets").splitlines()[1:]
    assert {line.split()[0] for line in listed} == {"-rw-------"}
    assert {tuple(line.split()[2:4]) for line in listed} == {("0", "0")}
    config = far.workstation.folder / "devbox.yaml"
    before = config.read_text()
    other = far.machine.home / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    try:
        far.workstation.write(f"{before}ssh: {{authorized_keys: [{other}.pub]}}\n")
        far.workstation.up()
        key = other.with_suffix(".pub").read_text().split()[1]
        assert key in far.workstation.ok("exec", "--", "sudo", "cat", "/run/secrets/authorized_keys")
    finally:
        far.workstation.write(before)
    far.workstation.up()
    assert key not in far.workstation.ok("exec", "--", "sudo", "cat", "/run/secrets/authorized_keys")


def test_a_folder_of_this_machine_is_refused_over_there_before_anything_is_made(far: Far) -> None:
    config = far.workstation.folder / "devbox.yaml"
    before = config.read_text()
    try:
        far.workstation.write(f"{before}mounts: [{{source: ., target: /srv}}]\n")
        done = far.workstation.run("up")
    finally:
        far.workstation.write(before)
    assert done.returncode == 5
    assert "`mounts` are folders of this machine" in done.stderr


def test_what_another_machine_made_is_anothers(far: Far) -> None:
    engine = connect_engine({"DOCKER_HOST": far.machine.engine.host})
    found = engine.find_container("far")
    assert found is not None
    mark, _, folder = found.labels[LABEL_WORKSPACE].partition(":")
    assert folder == str(far.workstation.folder)
    program = (
        "import sys, builder.adapters.remote.marks as marks; marks.find_digits = lambda: '00000000'\n"
        "from builder.__main__ import main; sys.argv = ['devbox', *sys.argv[1:]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "-C", folder, "down"],
        env=dict(far.workstation.environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert f"belongs to another folder, {mark}:{folder}" in done.stderr


@pytest.mark.parametrize("how", ["hung up", "link down"])
def test_a_connection_that_breaks_comes_back_by_itself(far: Far, how: str) -> None:
    port, before = far.workstation.port("dev"), far.tunnel()
    if how == "hung up":
        far.machine.cut()
    else:
        far.machine.link("down")
        wait_for(
            "the tunnel to notice",
            lambda: True if far.tunnel()["state"] == "connecting" else None,
            deadline_s=BACK_S,
            interval_s=0.1,
        )
        (row,) = json.loads(far.workstation.ok("hosts", "--json"))
        assert "not connected" in row["trouble"]
        far.machine.link("up")
    far.await_page(port)
    assert far.workstation.inside("id", "-un").strip() == "dev"
    after = far.tunnel()
    assert after["process"] == before["process"]
    assert int(str(after["lost"])) > int(str(before["lost"]))


def test_a_tunnel_that_was_stopped_comes_back_with_its_ports(far: Far) -> None:
    port = far.workstation.port("dev")
    assert "ended" in far.workstation.ok("tunnel", "stop")
    with pytest.raises(OSError, match="refused"), socket.socket() as knock:
        knock.connect(("127.0.0.1", port))
    assert json.loads(far.workstation.ok("status", "--json"))["state"] == "running"
    assert far.fetch() == "over there\n"


def test_a_port_that_another_program_took_while_no_tunnel_ran_is_left_to_it(far: Far) -> None:
    there, before = far.workstation, far.workstation.port("ssh")
    there.ok("tunnel", "stop")
    with socket.create_server(("127.0.0.1", before)):
        assert f"port {before} of far-workstation-1 is taken" in there.run("status").stderr
        assert "is made anew" in there.up().stderr
        assert there.port("ssh") != before
        there.ok("verify", "--only", "doors")
    there.inside("sh", "-c", SERVER)


def test_an_up_here_and_one_there_at_the_same_time_take_different_ports(
    far: Far, new_workstation: NewWorkstation
) -> None:
    here = new_workstation("here", CONFIG.replace("far", "here"))
    over = new_workstation("over", f"{CONFIG.replace('far', 'over')}host: {far.machine.url}\n")
    over = replace(over, environment=far.workstation.environment)
    for workstation in (here, over):
        shutil.copy(far.workstation.folder / "devbox-lock.json", workstation.folder / "devbox-lock.json")
    try:
        with here.spawn("up") as one, over.spawn("up") as other:
            told = [process.communicate(timeout=120) for process in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0), told
        ports = [workstation.port(door) for workstation in (here, over, far.workstation) for door in ("ssh", "dev")]
        assert len(set(ports)) == len(ports)
        assert (here.inside("hostname"), over.inside("hostname")) == ("here\n", "over\n")
    finally:
        over.take_away()


def test_plain_ssh_opens_a_tunnel_where_none_runs(far: Far) -> None:
    section = far.machine.home / "section"
    section.write_text(far.workstation.ok("ssh-config"))
    words = ["ssh", "-F", str(section), "-i", str(far.machine.home / ".ssh/id_ed25519"), "far", "id", "-un"]
    far.workstation.ok("tunnel", "stop")
    for told in ("connecting to", ""):  # by the first one alone
        done = subprocess.run(words, env=dict(far.workstation.environment), capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("dev\n", 0), done.stderr
        assert told in done.stderr
        assert bool(done.stderr) == bool(told)
    far.workstation.ok("tunnel", "stop")
    far.machine.hang_up()
    try:
        done = subprocess.run(words, env=dict(far.workstation.environment), capture_output=True, text=True, check=False)
    finally:
        far.machine.serve()
    assert done.returncode == 255
    assert f"{far.machine.address}:{far.machine.port}: connect: Connection refused" in done.stderr
    far.workstation.ok("status")


@pytest.mark.long
def test_where_sockets_are_not_forwarded_two_sessions_of_its_own_client_are_enough(far: Far) -> None:
    port = far.workstation.port("dev")
    far.workstation.ok("tunnel", "stop")
    far.machine.serve(AllowStreamLocalForwarding="no", MaxSessions="2")
    try:
        assert far.workstation.inside("id", "-un").strip() == "dev"
        assert far.tunnel()["dials"] is True
        far.await_page(port)
        argv, environment = far.workstation.argv("exec", "--", "true"), dict(far.workstation.environment)
        loops = [subprocess.Popen(argv, env=environment) for _ in range(3)]
        assert [loop.wait(60) for loop in loops] == [0, 0, 0]
    finally:
        far.workstation.ok("tunnel", "stop")
        far.machine.serve()
    far.workstation.ok("status")


def test_another_machine_at_the_same_time_has_a_tunnel_of_its_own(far: Far, engine: Engine) -> None:
    beside = SshHost(
        engine=far.machine.engine, namespace=far.machine.namespace, address=far.machine.address,
        folder=far.machine.folder, port=2201,
    )  # fmt: skip
    beside.serve()
    far.workstation.ok("status")
    try:
        assert "far" in far.workstation.ok("list", "--host", beside.url)
        told = json.loads(far.workstation.ok("hosts", "--json"))
        assert {item["address"] for item in told} == {beside.url, far.machine.url}
        assert "near" in far.workstation.ok("list", "--host", "local")
    finally:
        far.workstation.ok("tunnel", "stop", beside.url)
        beside.hang_up()
    assert far.fetch() == "over there\n"


# -------------------------------------------------------------------------------------- what stands on the way


def refuse_unknown(machine: SshHost) -> None:
    machine.forget()


def change_key(machine: SshHost) -> None:
    line = f"[{machine.address}]:{machine.port} {machine.other_key()}"
    (machine.home / ".ssh/known_hosts").write_text(f"# before\n{line}\n")


def refuse_login(machine: SshHost) -> None:
    machine.serve(AuthorizedKeysFile="none")


def run_nothing(machine: SshHost) -> None:
    machine.serve(ForceCommand="/usr/sbin/nologin")


def have_no_socket(machine: SshHost) -> None:
    # The script goes to another shell, which finds no socket where it looks.
    machine.serve(
        ForceCommand="unshare --mount sh -c 'mount -t tmpfs none /run && exec sh'", SetEnv="DOCKER_HOST=unix:///x"
    )


def have_no_right(machine: SshHost) -> None:
    machine.serve(ForceCommand="setpriv --reuid=65534 --regid=65534 --clear-groups sh")


def be_silent(machine: SshHost) -> None:
    machine.hang_up()


@pytest.mark.parametrize(
    ("hinder", "step", "words"),
    [
        (refuse_unknown, "host key", "nobody is there to ask"),
        (change_key, "host key", "it has changed"),
        (refuse_login, "login", "ssh-copy-id"),
        (run_nothing, "shell", "nologin"),
        (have_no_socket, "engine socket", "there is no engine's socket"),
        (have_no_right, "permission", "usermod -aG docker"),
        (be_silent, "connect", "refused"),
    ],
)
def test_each_step_that_fails_has_its_name_and_says_what_to_do(
    there: Workstation, strict_machine: SshHost, hinder: Callable[[SshHost], None], step: str, words: str
) -> None:
    strict_machine.know()
    hinder(strict_machine)
    done = there.run("host", "check", "--json")
    assert done.returncode == 8, done.stderr
    assert json.loads(done.stdout)["failed"] == step
    assert words in done.stderr
    if hinder is change_key:
        assert f"{strict_machine.home}/.ssh/known_hosts:2" in done.stderr


def test_a_disk_that_is_nearly_full_over_there_is_told_before_anything_is_made(
    there: Workstation, strict_machine: SshHost
) -> None:
    strict_machine.know()
    small = "unshare --mount sh -c 'mount -t tmpfs -o size=64m none /var/lib/docker && exec sh'"
    strict_machine.serve(ForceCommand=small)
    told = {item["name"]: item for item in json.loads(there.ok("host", "check", "--json"))["steps"]}
    assert told["disk"]["detail"] == "0.1 GB free in /var/lib/docker"
    assert "2 GB" in told["disk"]["warning"]


def test_an_up_that_is_interrupted_while_it_connects_ends_at_once_and_leaves_no_tunnel(there: Workstation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ssh://root@127.0.0.1:{silent.getsockname()[1]}"
        with there.spawn("--host", address, "up") as process:
            silent.settimeout(BACK_S)
            wire, _ = silent.accept()  # the tunnel waits for a greeting
            began = monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=BACK_S)
            wire.settimeout(BACK_S)
            assert wire.recv(100)[:4] in (b"SSH-", b"")
        assert monotonic() - began < 5
        assert process.returncode == 130
    assert address not in there.ok("tunnel", "status")


# A person's sections, and how many logins come before the last one. All machines are one: each connection after the
# first is made by it, to itself.
GATES = "Host one two\n HostName {host}\n Port {port}\n User root\n"
SSH = "ssh -i {home}/.ssh/id_ed25519 -o UserKnownHostsFile={home}/.ssh/known_hosts -p {port} -W %h:%p %r@{host}"
WAYS = {
    "a jump host": ("Host behind\n ProxyJump root@{host}:{port}\n", 1),
    "two in a row": (f"Host behind\n ProxyJump one,two\n{GATES}", 2),
    "a jump host behind a jump host": (f"Host behind\n ProxyJump two\nHost two\n ProxyJump one\n{GATES}", 2),
    "a program": (f"Host behind\n ProxyCommand {SSH}\n", 0),
}


@pytest.mark.parametrize(("sections", "between"), WAYS.values(), ids=WAYS.keys())
def test_what_lies_between_leads_there(
    there: Workstation, strict_machine: SshHost, sections: str, between: int
) -> None:
    machine = strict_machine
    machine.know()
    written = sections.format(host=machine.address, port=machine.port, home=machine.home)
    place = f"Host behind\n HostName {machine.address}\n Port {machine.port}\n User root\n"
    machine.configure(written + place)
    told = json.loads(there.ok("host", "check", "ssh://behind", "--json"))
    steps = {item["name"]: item["detail"] for item in told["steps"]}
    names = [item["name"] for item in told["steps"]]
    assert names[-1] == "engine"
    assert names.count(f"{machine.address}: login") == between
    assert steps["connect"] == (f"through {machine.address}" if between else "by ProxyCommand")
