"""In by SSH: a key of one's own or the one that devbox makes, the host key pinned, and no other way in."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import paramiko
import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import Workstation, make_factory

SESSION = ("DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "LANG", "TZ")


@pytest.fixture(scope="module")
def workstation(
    tmp_path_factory: pytest.TempPathFactory, session_folder: Path, environment: Mapping[str, str]
) -> Iterator[Workstation]:
    """Of a person who has no SSH key yet: devbox makes one for this workstation."""
    home = tmp_path_factory.mktemp("home")
    for make in make_factory(session_folder, {**environment, "HOME": str(home)}):
        made = make("by-ssh", "environment: {EDITOR: nano}\n")
        made.up()
        yield made


@pytest.fixture(scope="module")
def identity(workstation: Workstation) -> paramiko.Ed25519Key:
    return own_key(workstation)


def own_key(workstation: Workstation) -> paramiko.Ed25519Key:
    """The key that devbox made for this workstation."""
    return paramiko.Ed25519Key.from_private_key_file(str(workstation.secrets().parent / "id_ed25519"))


def connect(
    workstation: Workstation,
    key: paramiko.PKey | None = None,
    *,
    host: str = "127.0.0.1",
    user: str = "dev",
    password: str | None = None,
) -> paramiko.SSHClient:
    """A session whose server must show the key that lies beside the secrets."""
    port = workstation.port("ssh")
    kind, blob = (workstation.secrets() / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    pinned = paramiko.hostkeys.HostKeyEntry.from_line(f"[{host}]:{port} {kind} {blob}")
    assert pinned is not None
    assert pinned.key is not None
    client = paramiko.SSHClient()
    client.get_host_keys().add(f"[{host}]:{port}", kind, pinned.key)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        host, port=port, username=user, pkey=key, password=password, allow_agent=False, look_for_keys=False, timeout=10
    )
    return client


def run(client: paramiko.SSHClient, command: str) -> str:
    _, stdout, stderr = client.exec_command(command, timeout=20)
    output = stdout.read().decode()
    assert stdout.channel.recv_exit_status() == 0, stderr.read().decode()
    return output


def test_command_runs_by_key_with_the_host_key_pinned(workstation: Workstation, identity: paramiko.PKey) -> None:
    with connect(workstation, identity) as client:
        assert run(client, "id -un; pwd; echo $0").split() == ["dev", "/home/dev", "zsh"]


def test_another_host_key_is_noticed(workstation: Workstation, identity: paramiko.PKey) -> None:
    port = workstation.port("ssh")
    stranger = paramiko.Ed25519Key.from_private_key_file(str(workstation.secrets().parent / "id_ed25519"))
    client = paramiko.SSHClient()
    client.get_host_keys().add(f"[127.0.0.1]:{port}", "ssh-ed25519", stranger)
    with pytest.raises(paramiko.BadHostKeyException):
        client.connect("127.0.0.1", port=port, username="dev", pkey=identity, allow_agent=False, look_for_keys=False)


def test_session_knows_the_desktop(workstation: Workstation, identity: paramiko.PKey) -> None:
    with connect(workstation, identity) as client:
        variables = dict(line.split("=", 1) for line in run(client, "env").splitlines() if "=" in line)
        assert [name for name in SESSION if not variables.get(name)] == []
        assert variables["DISPLAY"] == ":1"
        assert variables["SHELL"] == "/bin/zsh"
        assert "/opt/node/bin" in variables["PATH"].split(":")
        assert variables["EDITOR"] == "nano"  # set in devbox.yaml
        assert run(client, "claude --version && node --version").split()[0].startswith("2.0.76")


def test_program_started_by_ssh_appears_on_the_desktop(workstation: Workstation, identity: paramiko.PKey) -> None:
    with connect(workstation, identity) as client, workstation.login_vnc() as screen:
        before = screen.settle(0.5, 20, tolerance=0.002)
        run(client, "nohup xfce4-terminal >/dev/null 2>&1 & sleep 0")
        screen.wait_picture(lambda now: now.difference(before) > 0.05, 20, what="the terminal's window")
        run(client, "pkill xfce4-terminal")


def test_interactive_login_is_a_zsh(workstation: Workstation, identity: paramiko.PKey) -> None:
    with connect(workstation, identity) as client, client.invoke_shell() as channel:
        channel.settimeout(20)
        channel.sendall(b"print -r -- is:$options[login]:$options[interactive]:$ZSH_NAME; exit\n")
        told = b""
        while chunk := channel.recv(4096):
            told += chunk
        assert "is:on:on:zsh" in told.decode(errors="replace")


def test_files_travel_by_sftp(workstation: Workstation, identity: paramiko.PKey, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 1000)
    with connect(workstation, identity) as client, client.open_sftp() as sftp:
        sftp.put(str(tmp_path / "sent"), "projects/sent")
        sftp.get("projects/sent", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()


@pytest.mark.parametrize("user", ["dev", "root"])
def test_passwords_are_not_even_asked_for(workstation: Workstation, user: str) -> None:
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        connect(workstation, user=user, password=workstation.password())
    assert refused.value.allowed_types == ["publickey"]


def test_root_and_strangers_are_refused(workstation: Workstation, identity: paramiko.PKey) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        connect(workstation, identity, user="root")
    with pytest.raises(paramiko.AuthenticationException):
        connect(workstation, paramiko.RSAKey.generate(2048))


def test_printed_command_works_with_openssh(workstation: Workstation) -> None:
    printed = shlex.split(workstation.ok("open", "ssh").strip())

    assert printed[0] == "ssh"
    assert printed[-1] == "dev@127.0.0.1"
    assert "StrictHostKeyChecking=yes" in printed
    # BatchMode: a question would mean that the command is not complete.
    command = [printed[0], "-F", "/dev/null", "-o", "BatchMode=yes", *printed[1:], "id -un; echo $DISPLAY"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "dev\n:1\n"), done.stderr


def test_open_session_does_not_hold_up_the_end(
    workstation: Workstation, identity: paramiko.PKey, engine: Engine
) -> None:
    with connect(workstation, identity) as client:
        client.exec_command("sleep 600")
        workstation.ok("stop")

    assert workstation.container(engine).exit_code != 137  # killed, after the whole grace
    workstation.ok("start")


def test_keys_named_in_the_config_take_over_from_the_one_made(
    workstation: Workstation, identity: paramiko.PKey, tmp_path: Path
) -> None:
    own = paramiko.ECDSAKey.generate()
    workstation.write(
        f'environment: {{EDITOR: nano}}\nssh: {{authorized_keys: ["{own.get_name()} {own.get_base64()}"]}}\n'
    )

    workstation.up()

    with connect(workstation, own) as client:
        assert run(client, "id -un") == "dev\n"
    with pytest.raises(paramiko.AuthenticationException):
        connect(workstation, identity)
