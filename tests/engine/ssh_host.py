"""Another machine, made on this one: a network namespace with its own loopback, engine and SSH server.

Owns what that leaves here (the namespace and its link, sshd, and an engine of `second_engine`) and takes it away. What
is published there is on its own loopback, so that nothing but SSH leads in. Takes root, iproute2 and openssh-server.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.adapters.clock import wait_for
from builder.adapters.engine.host import find_host
from tests.engine.second_engine import SecondEngine, claim, lock_engines, remove_with_data

SSHD: Final = "/usr/sbin/sshd"
PORT: Final = 2200
START_S: Final = 30


class NamespacedEngine(SecondEngine):
    """An engine whose bridge, published ports and firewall rules are in a network namespace of its name."""

    @property
    def address(self) -> str:
        """Of the machine, as this one reaches it."""
        return str(self.network[2])

    def _argv(self) -> list[str]:
        _, pool = self.network.subnets(prefixlen_diff=1)
        return [
            # Not `ip netns exec`, which mounts another /sys, without the control groups.
            *("nsenter", f"--net=/run/netns/{self.name}", "dockerd", "--host", self.host),
            *("--pidfile", str(self.run / "docker.pid"), "--data-root", str(self.data)),
            *("--exec-root", str(self.run / "exec"), "--default-address-pool", f"base={pool},size=27"),
            *("--bip", f"{pool[1]}/27", "--containerd-namespace", self.name),
            *("--containerd-plugins-namespace", f"{self.name}-plugins"),
        ]

    def _make_network(self) -> None:
        if Path("/run/netns", self.name).exists():
            return
        near, far = self.name, f"{self.name}-in"
        for words in (
            ("netns", "add", self.name),
            ("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.name),
            ("address", "add", f"{self.network[1]}/30", "dev", near),
            ("link", "set", near, "up"),
            ("-n", self.name, "address", "add", f"{self.network[2]}/30", "dev", far),
            ("-n", self.name, "link", "set", far, "up"),
            ("-n", self.name, "link", "set", "lo", "up"),
            ("-n", self.name, "route", "add", "default", "via", str(self.network[1])),
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)
        self._let_out()


class Borrowing(NamespacedEngine):
    """A machine without an engine of its own: who logs in there uses the one of this session. What that publishes is on
    this machine's loopback, so that it is reached there by the addresses of containers."""

    @property
    def host(self) -> str:
        return find_host(os.environ).url

    def start(self) -> None:
        self._make_network()


@dataclass(slots=True, kw_only=True)
class SshHost:
    """A machine, and the SSH settings of a person who may log in there. `options` are lines of its sshd_config."""

    engine: SecondEngine
    namespace: str | None
    address: str
    folder: Path
    port: int = PORT
    options: dict[str, str] = field(default_factory=dict)
    _sshd: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"ssh://root@{self.address}:{self.port}"

    @property
    def home(self) -> Path:
        """Of the person on this machine."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "sshd.log"

    @property
    def usual(self) -> tuple[str, ...]:
        """What their ~/.ssh/config says where a test says nothing else: whatever key it shows is taken."""
        return ("StrictHostKeyChecking accept-new", "ServerAliveInterval 1")

    def person(self) -> dict[str, str]:
        """The environment by which they are found here."""
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.folder / "run"), "SSH_AUTH_SOCK": ""}

    def start(self) -> None:
        for path in (self.folder, self.home, self.home / ".ssh", self.folder / "run", Path("/run/sshd")):
            path.mkdir(mode=0o700, exist_ok=True)
        self.new_key("host", anew=False)
        identity = self.home / ".ssh/id_ed25519"
        if not identity.exists():
            _keygen(identity)
            (self.folder / "authorized").write_text(identity.with_suffix(".pub").read_text())
        self.configure(*self.usual)
        self.serve()

    def configure(self, *lines: str) -> None:
        """What the person's ~/.ssh/config says."""
        (self.home / ".ssh/config").write_text("".join(f"{line}\n" for line in lines))

    def know(self) -> None:
        """Let its key be known, and no other."""
        self.forget()
        line = (self.folder / "host.pub").read_text()
        (self.home / ".ssh/known_hosts").write_text(f"[{self.address}]:{self.port} {line}")

    def forget(self) -> None:
        (self.home / ".ssh/known_hosts").unlink(missing_ok=True)

    def other_key(self) -> str:
        """The public line of a key that it has not."""
        self.new_key("other")
        return (self.folder / "other.pub").read_text()

    def link(self, way: str) -> None:
        """`up` or `down`: its cable."""
        subprocess.run(["ip", "link", "set", str(self.namespace), way], check=True)

    def new_key(self, name: str, *, anew: bool = True) -> None:
        path = self.folder / name
        if anew:
            path.unlink(missing_ok=True)
        if not path.exists():
            _keygen(path)

    def serve(self, **options: str) -> None:
        """(Re)start its SSH server, with other options than before."""
        self.hang_up()
        self.options = options
        settings: Mapping[str, str] = {
            "Port": str(self.port),
            "ListenAddress": self.address,
            "HostKey": str(self.folder / "host"),
            "AuthorizedKeysFile": str(self.folder / "authorized"),
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "SetEnv": f"DOCKER_HOST={self.engine.host}",
            **options,
        }
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        with self.log.open("ab") as log:
            self._sshd = subprocess.Popen(
                [*inside, SSHD, "-D", "-e", "-f", str(config)], stderr=log, start_new_session=True
            )

        def answers() -> bool | None:
            with suppress(OSError), socket.create_connection((self.address, self.port), 1) as wire:
                return wire.recv(4) == b"SSH-" or None
            return None

        wait_for("sshd to answer", answers, deadline_s=START_S, interval_s=0.02, why=self.log.read_text)

    def hang_up(self) -> None:
        """End its SSH server, and every connection."""
        if self._sshd is None:
            return
        for pid in (*_descendants(self._sshd.pid), self._sshd.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._sshd.wait()
        self._sshd = None

    def cut(self) -> None:
        """End every connection; its SSH server goes on."""
        assert self._sshd is not None
        for pid in _descendants(self._sshd.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descendants(ancestor: int) -> list[int]:
    """What runs below a process, the youngest first."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [ancestor]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[:0:-1]


@contextmanager
def ssh_host(
    folder: Path, kind: type[NamespacedEngine] = NamespacedEngine, *, data: Path | None = None
) -> Iterator[SshHost]:
    """A machine of its own, with its engine's `data` there, else below `folder`; in the end nothing of it is left."""
    folder.mkdir()
    data = data or folder / "data"
    data.mkdir()
    engine = claim(data, kind=kind)
    assert isinstance(engine, NamespacedEngine)
    host = SshHost(engine=engine, namespace=engine.name, address=engine.address, folder=folder / "ssh")
    try:
        engine.start()
        host.start()
        yield host
    finally:
        host.hang_up()
        with lock_engines():
            remove_with_data(engine)
        shutil.rmtree(folder, ignore_errors=True)


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, capture_output=True)
