"""An engine of a test's own beside the one of this machine: a dockerd with its own socket, data, bridge and addresses.

Owns what such an engine leaves on a machine (processes, mounts, links, firewall rules, files in /run) and takes all of
it away, also after a crash, and what a killed session left. The engine that is there is not touched: this one is told
to change no firewall rule (`--iptables=false`); the rules that let its containers out are made and removed here, and
its ports are published by its userland proxy alone. Takes root.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Final

import docker

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.adapters.engine_look import look_containers
from builder.adapters.living import is_gone, this_process
from builder.errors import NotReadyError

RUN: Final = Path("/run")
# One for each engine; the last is left to one that outlives its session (`engine_26`).
NETWORKS: Final = tuple(IPv4Network("10.214.0.0/16").subnets(new_prefix=20))
PROGRAMS: Final = (b"containerd", b"docker-proxy", b"dockerd", b"runc")
SETTINGS: Final = Path(__file__).resolve().parents[2] / ".ci/dockerd.json"
START_S: Final = 60
GRACE_S: Final = 30


@dataclass(slots=True, kw_only=True)
class SecondEngine:
    name: str  # of its bridge, of its folder in /run and of its namespace in a containerd that is shared
    network: IPv4Network
    data: Path
    programs: Path | None = None  # the root of unpacked packages with another dockerd than the installed one
    cut: bool = False  # in a network namespace of its own, from which no route leads out
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def run(self) -> Path:
        """Its sockets lie there: below a folder of a test their paths could be too long for the kernel."""
        return RUN / self.name

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.run}/docker.sock"

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a program where this engine is. Not `ip netns exec`, which mounts a /sys without control groups."""
        return ("nsenter", f"--net={self._namespace}") if self.cut else ()

    def start(self) -> None:
        """Start it and wait until it answers; one that runs is left as it is. What an earlier one ran is taken over."""
        if self.is_running():
            return
        self.data.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(exist_ok=True)
        self._make_network()
        own = [str(self.programs / name) for name in ("usr/sbin", "usr/bin")] if self.programs else []
        with (self.run / "dockerd.log").open("ab") as log:
            process = self._process = subprocess.Popen(
                self._argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": os.pathsep.join([*own, os.environ["PATH"]])},
                start_new_session=True,
            )

        def look() -> bool | None:
            if process.poll() is not None:
                raise NotReadyError(f"dockerd ended with {process.returncode}", detail=self.tail())
            return True if self.is_running() else None

        wait_for(f"dockerd to answer at {self.host}", look, deadline_s=START_S, interval_s=0.1, why=self.tail)

    def is_running(self) -> bool:
        return look_containers({"DOCKER_HOST": self.host}, "none") is not None

    def stop(self) -> None:
        """End dockerd and what it runs. Data, bridge and addresses are kept for the next start."""
        self._end(signal.SIGTERM)
        self._kill_processes()

    def kill(self) -> None:
        """As a crash would: its containers run on."""
        self._end(signal.SIGKILL)
        # The kernel kills its containerd with it; a dockerd that is started meanwhile would wait for that one in vain.
        wait_for(
            "its containerd to end", lambda: None if self._has_containerd() else True, deadline_s=5, interval_s=0.02
        )

    def _has_containerd(self) -> bool:
        try:
            pid = (self.run / "exec/containerd/containerd.pid").read_text().strip()
        except OSError:
            return False  # it uses the one that the machine has for all
        return Path("/proc", pid).exists()

    def tail(self) -> str:
        lines = (self.run / "dockerd.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-20:])

    def remove(self) -> None:
        """Take away all of it but its data, whatever state it is in."""
        try:
            self.stop()
        except NotReadyError:
            self.kill()
        self._kill_processes()
        unmount(self.run, self.data)  # dockerd makes a mount point of the data folder itself
        self._remove_network()
        shutil.rmtree(self.run, ignore_errors=True)

    def _argv(self) -> list[str]:
        bridge, pool = self.network.subnets(prefixlen_diff=1)
        return [
            *self.inside,
            *("dockerd", "--host", self.host, "--pidfile", str(self.run / "docker.pid")),
            *("--data-root", str(self.data), "--exec-root", str(self.run / "exec")),
            *("--bridge", self.name, "--iptables=false", "--fixed-cidr", str(bridge)),
            # At its second start a dockerd with address pools of its own deletes docker0, which is another engine's,
            # but not where containers are to survive it (moby, daemon_unix.go, "Clear stale bridge network").
            *("--default-address-pool", f"base={pool},size=27", "--live-restore"),
            *("--containerd-namespace", self.name, "--containerd-plugins-namespace", f"{self.name}-plugins"),
            # As `.ci/engine`, and without the settings of the engine that is there, which may name its data or bridge.
            *("--dns-opt", "timeout:1", "--dns-opt", "attempts:10", "--config-file", str(SETTINGS)),
        ]

    def _end(self, how: signal.Signals) -> None:
        if (pid := self._pid()) is None:
            return
        os.kill(pid, how)
        wait_for(
            f"dockerd (process {pid}) to end",
            lambda: True if self._pid() is None else None,
            deadline_s=GRACE_S,
            interval_s=0.05,
            why=self.tail,
        )
        if self._process is not None:
            self._process.wait(GRACE_S)  # it has ended: this only takes it out of the table of processes

    def _pid(self) -> int | None:
        """Of the dockerd that runs. The kernel uses ids again, so that its command line has to say that it is ours."""
        try:
            pid = int((self.run / "docker.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if self.host.encode() in words else None

    def _processes(self) -> set[int]:
        """All that belongs to it: the programs whose command lines name it, and what runs below them in containers."""
        found: set[int] = set()
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # it ended between listing and reading
            if state not in "ZX":
                parents[int(folder.name)] = int(parent)
                if self._is_named(words):
                    found.add(int(folder.name))
        while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
            found |= more
        return found

    def _kill_processes(self) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(
            f"the processes of {self.name} to end",
            lambda: None if self._processes() else True,
            deadline_s=GRACE_S,
            interval_s=0.05,
        )

    def _is_named(self, words: list[bytes]) -> bool:
        ours = (f"{self.run}/".encode(), f"unix://{self.run}/".encode(), f"{self.data}/".encode())
        return words[0].rpartition(b"/")[2].startswith(PROGRAMS) and any(
            word == self.name.encode() or word.startswith(ours) for word in words[1:]
        )

    def _make_network(self) -> None:
        if self.cut and not self._namespace.exists():
            _do("ip", "netns", "add", self.name)
            self._ip("link", "set", "lo", "up")
        if not _succeeds(*self._ip_words("link", "show", self.name)):
            self._ip("link", "add", self.name, "type", "bridge")
            self._ip("address", "add", f"{self.network[1]}/{self.network.prefixlen + 1}", "dev", self.name)
        # One of its own: a bridge without takes the lowest of its ports', and when that container ends, the packets of
        # all others are lost until they ask for it again (no name server for 5 to 50 s, measured).
        self._ip("link", "set", self.name, "address", "02:42:" + self.network[1].packed.hex(":"), "up")
        if not self.cut:
            self._let_out()

    def _let_out(self) -> None:
        for table, chain, *rule in self._rules():
            if not _succeeds("iptables", "--wait", "--table", table, "--check", chain, *rule):
                _do("iptables", "--wait", "--table", table, "--insert", chain, *rule)

    def _ip(self, *words: str) -> None:
        _do(*self._ip_words(*words))

    def _ip_words(self, *words: str) -> tuple[str, ...]:
        return ("ip", *(("-netns", self.name) if self.cut else ()), *words)

    @property
    def _namespace(self) -> Path:
        return Path("/run/netns", self.name)

    def _remove_network(self) -> None:
        for table, chain, *rule in self._rules():
            if _succeeds("iptables", "--wait", "--table", table, "--check", chain, *rule):
                _do("iptables", "--wait", "--table", table, "--delete", chain, *rule)
        for link in json.loads(_do("ip", "-json", "-4", "address", "show")):
            if any(ip_address(address["local"]) in self.network for address in link["addr_info"]):
                _do("ip", "link", "delete", link["ifname"])
        if self._namespace.exists():  # after its link, which would go with it, but not at once
            _do("ip", "netns", "delete", self.name)

    def _rules(self) -> tuple[tuple[str, ...], ...]:
        """That its containers reach the network: the engine that is there may have set FORWARD to DROP."""
        own = str(self.network)
        return (
            ("nat", "POSTROUTING", "--source", own, "!", "--destination", own, "--jump", "MASQUERADE"),
            ("filter", "FORWARD", "--source", own, "--jump", "ACCEPT"),
            ("filter", "FORWARD", "--destination", own, "--jump", "ACCEPT"),
        )


def unmount(*folders: Path) -> None:
    """Take away what is mounted at these folders and below them, the deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if f"{point}/".startswith(tuple(f"{folder}/" for folder in folders)):
            _do("umount", "--lazy", point)


@contextmanager
def second_engine(data: Path, *, programs: Path | None = None, cut: bool = False) -> Iterator[SecondEngine]:
    """One that runs, with its data in the folder `data`; in the end nothing of it is left, and the folder is empty. One
    that is `cut` has no network but its own.

    The folder may lie on a file system of its own (`small_disk`), but not be its root: mounts at it are taken away.
    """
    engine = claim(data, programs, cut=cut)
    try:
        engine.start()
        yield engine
    finally:
        remove_with_data(engine)


def claim(
    data: Path, programs: Path | None = None, *, cut: bool = False, kind: type[SecondEngine] | None = None
) -> SecondEngine:
    """A name and addresses that no other has. What a process left that was killed is removed first."""
    make = kind or SecondEngine
    with lock_engines():
        for number, network in enumerate(NETWORKS[:-1]):
            engine = make(name=f"devbox-e{number}", network=network, data=data, programs=programs, cut=cut)
            owner = engine.run / "owner"
            if owner.is_file():
                told = json.loads(owner.read_text())
                if not is_gone(told["process"]):
                    continue
                remove_with_data(SecondEngine(name=engine.name, network=network, data=Path(told["data"])))
            engine.run.mkdir(exist_ok=True)
            owner.write_text(json.dumps({"process": this_process(), "data": str(data)}))
            return engine
    raise NotReadyError(f"{len(NETWORKS) - 1} engines of tests run on this machine already")


def remove_with_data(engine: SecondEngine) -> None:
    engine.remove()
    for path in engine.data.iterdir() if engine.data.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def lock_engines() -> Iterator[None]:
    """Only one process at a time makes or removes engines."""
    with (RUN / "devbox-engines.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """`folder` on a file system of its own of that size, which can run full: ext4 in a file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_name(f"{folder.name}.ext4")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    try:
        _do("mkfs.ext4", "-q", "-m", "0", str(image))
        _do("mount", "-o", "loop", str(image), str(folder))
        try:
            yield folder
        finally:
            _do("umount", str(folder))
    finally:
        image.unlink()


def copy_bases(source: Engine, target: str, name: str = "") -> None:
    """The bases that `source` has (those of one `name`), to the engine at the address `target`: to bootstrap one takes
    much longer."""
    own = connect_engine({"DOCKER_HOST": target})
    for image in source.find_image_ids("dev.devbox.base"):  # which what is built on a base has, too
        for tag in image.tags:
            if tag.startswith(f"devbox/base:{name}") and not own.image_exists(tag):
                copy_image(tag, source.host.url, target)


def copy_image(reference: str, source: str, target: str) -> None:
    """Bring an image from the engine at the address `source` to that at `target`, as `docker save | docker load`."""
    giver, taker = docker.APIClient(base_url=source), docker.APIClient(base_url=target)
    try:
        for message in taker.load_image(giver.get_image(reference)) or ():  # type: ignore[no-untyped-call]
            if error := message.get("error"):
                raise NotReadyError(f"{reference} cannot be loaded: {error}")
    finally:
        giver.close()
        taker.close()


def _do(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotReadyError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
