"""A person's own keys and name inside, without a copy of a key: an SSH agent of this machine, forwarded on request.

The agent and its key are made here. The Git server is the workstation's own sshd, asked from inside.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from tests.engine.conftest import Workstation, make_factory

REPOSITORY = "ssh://dev@127.0.0.1:2222/home/dev/team.git"
GIT_SSH = "ssh -o UserKnownHostsFile=/home/dev/known -o StrictHostKeyChecking=yes -o BatchMode=yes"
MAKE_REPOSITORY = """
set -e
git init --quiet --bare team.git
git clone --quiet team.git first 2>/dev/null
cd first && echo hello >file && git add file && git commit --quiet --message=first && git push --quiet
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    socket: Path
    public: str
    private: Path
    seed: bytes


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An ssh-agent with one key."""
    folder = tmp_path_factory.mktemp("agent")
    key = Ed25519PrivateKey.generate()
    private = folder / "key"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    socket = folder / "socket"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(
                "the agent's socket", lambda: socket if socket.is_socket() else None, deadline_s=5, interval_s=0.05
            )
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", str(private)], env=environment, check=True)
            yield Agent(socket=socket, public=f"{public} mine", private=private, seed=key.private_bytes_raw())
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def workstation(
    tmp_path_factory: pytest.TempPathFactory, session_folder: Path, environment: Mapping[str, str], agent: Agent
) -> Iterator[Workstation]:
    """Of a person whose key is in the agent alone, and who has told Git their name."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text('[user]\n name = "Ada \\"L\\" Lovelace"\n email = ada@example.org\n')
    ours = {**environment, "HOME": str(home), "SSH_AUTH_SOCK": str(agent.socket)}
    for make in make_factory(session_folder, ours):
        made = make("agent", f"ssh: {{authorized_keys: ['{agent.public}']}}\n")
        made.up()
        yield made


@pytest.fixture(scope="module")
def repository(workstation: Workstation) -> str:
    """Its address as seen from inside, where its host key is known."""
    kind, blob = (workstation.secrets() / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    workstation.inside("sh", "-c", f"echo '[127.0.0.1]:2222 {kind} {blob}' >known")
    workstation.inside("sh", "-c", MAKE_REPOSITORY)
    return REPOSITORY


def test_a_forwarded_agent_offers_its_key_inside(workstation: Workstation, agent: Agent) -> None:
    assert workstation.ok("ssh", "-A", "--", "ssh-add", "-L") == f"{agent.public.rpartition(' ')[0]} {agent.private}\n"


def test_no_agent_is_there_without_asking_for_it(workstation: Workstation) -> None:
    """Whatever the person's own settings for ssh say."""
    settings = Path(workstation.environment["HOME"]) / ".ssh/config"
    settings.parent.mkdir(mode=0o700)
    settings.write_text("Host *\n ForwardAgent yes\n")
    done = workstation.run("ssh", "ssh-add", "-L")
    assert done.returncode == 2  # ssh-add's word for "no agent"
    assert done.stdout == ""


def test_git_clones_and_pushes_through_the_forwarded_agent(workstation: Workstation, repository: str) -> None:
    through = f"export GIT_SSH_COMMAND='{GIT_SSH}';"
    clone = f"{through} git clone --quiet {repository} second"
    change = "cd second && git commit --quiet --allow-empty --message=second && git push --quiet"
    refused = workstation.run("ssh", "--", "sh", "-c", clone)
    assert refused.returncode == 128
    assert "Permission denied" in refused.stderr

    workstation.ok("ssh", "-A", "--", "sh", "-c", f"{clone} && {change}")

    log = workstation.inside("git", "-C", "team.git", "log", "--format=%s by %an <%ae>")
    assert log.splitlines() == [f'{text} by Ada "L" Lovelace <ada@example.org>' for text in ("second", "first")]


def test_the_key_is_in_no_file_of_the_workstation(
    workstation: Workstation, repository: str, agent: Agent, engine: Engine
) -> None:
    """After it was used. Root searches image, volumes and tmpfs, and finds what is planted."""
    container = workstation.container(engine).id
    body = agent.private.read_text().splitlines()
    patterns = "\n".join([body[2], body[3], base64.b64encode(agent.seed).decode().rstrip("=")])
    search = "grep -rlaF --devices=skip --exclude-dir=proc --exclude-dir=sys -f /dev/stdin / 2>/dev/null; true"

    def find() -> list[str]:
        return engine.run(container, ["sh", "-c", search], stdin=patterns.encode()).stdout.decode().split()

    assert find() == []
    engine.run(container, ["sh", "-c", "cat >/home/dev/planted"], stdin=agent.private.read_bytes())
    assert find() == ["/home/dev/planted"]
    engine.run(container, ["rm", "/home/dev/planted"])


def test_a_name_of_ones_own_inside_wins(workstation: Workstation) -> None:
    assert workstation.inside("git", "config", "user.name") == 'Ada "L" Lovelace\n'
    workstation.inside("git", "config", "--global", "user.name", "Somebody else")
    assert workstation.inside("git", "config", "user.name") == "Somebody else\n"
    assert workstation.inside("git", "config", "user.email") == "ada@example.org\n"


def test_ssh_hands_on_words_input_and_exit_code(workstation: Workstation) -> None:
    done = workstation.run("ssh", "--", "sh", "-c", 'cat; echo "$0 $DISPLAY"; exit 7', "a  b", stdin="in\n")
    assert (done.returncode, done.stdout) == (7, "in\na  b :1\n"), done.stderr


def test_another_host_key_is_refused_and_none_is_ever_added(workstation: Workstation) -> None:
    public = workstation.secrets() / "ssh_host_ed25519_key.pub"
    ours = public.read_text()
    blob = Ed25519PrivateKey.generate().public_key()
    other = blob.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    try:
        public.write_text(f"{other} somebody\n")
        done = workstation.run("ssh", "true")
        assert done.returncode == 255
        assert "Host key verification failed" in done.stderr
    finally:
        public.write_text(ours)
    pins = (workstation.secrets().parent / "known_hosts").read_text()
    assert pins == f"* {other}\n"
    workstation.ok("ssh", "true")
    home = Path(workstation.environment["HOME"])
    assert not (home / ".ssh/known_hosts").exists()


def test_without_an_agent_there_is_nothing_to_forward(workstation: Workstation) -> None:
    done = workstation.run("ssh", "-A", "true", environment={"SSH_AUTH_SOCK": ""})
    assert done.returncode == 8
    assert "there is no SSH agent" in done.stderr
    assert "hint:" in done.stderr
