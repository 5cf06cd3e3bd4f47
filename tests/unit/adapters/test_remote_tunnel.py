"""The process that keeps a connection: when it ends, what it opens on this machine, and to whom it is talked."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from builder.adapters.clock import monotonic, wait_for
from builder.adapters.engine.remote import RemoteEngine
from builder.adapters.remote import client
from builder.adapters.remote import tunnel as module
from builder.adapters.remote.address import Place, find_place, parse_address, tunnels_folder
from builder.adapters.remote.client import Talk, TunnelClient, end_tunnels, find_tunnels, open_tunnel
from builder.adapters.remote.link import Program, open_link
from builder.adapters.remote.listeners import Listener
from builder.adapters.remote.login import Credentials
from builder.adapters.remote.sshconfig import find_target
from builder.adapters.remote.steps import StepError
from builder.adapters.remote.tunnel import Tunnel
from builder.errors import HostError

ROOT = Path(__file__).parents[3]
ADDRESS = parse_address("ssh://box", where="x")
NOBODY = Talk(tell=lambda _: None, ask=lambda _text, _secret: None)


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("t")  # a short path: sockets lie below it
    (home / "run").mkdir(mode=0o700)
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}


@pytest.fixture
def place(environment: dict[str, str]) -> Place:
    found = find_place(ADDRESS, environment)
    found.folder.mkdir(mode=0o700, parents=True)
    return found


@contextmanager
def running(environment: dict[str, str], place: Place) -> Iterator[threading.Thread]:
    """A tunnel whose connection broke, as the process would keep it."""
    tunnel = Tunnel(ADDRESS, place, environment)

    def run() -> None:
        with place.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tunnel.run()

    tunnel.listen()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        tunnel.stop()
        thread.join(10)


def test_a_stop_does_not_wait_for_a_machine_that_does_not_answer(
    environment: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying, over = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> Mock:
        trying.set()
        over.wait(30)
        return Mock()

    monkeypatch.setattr(module, "open_link", hang)
    try:
        with running(environment, place) as thread:
            assert trying.wait(10)
            began = monotonic()
            end_tunnels(environment)
            thread.join(5)
            assert not thread.is_alive()
            assert monotonic() - began < 5
            assert not tunnels_folder(environment).exists()
    finally:
        over.set()


def test_a_tunnel_that_nobody_uses_ends_also_while_its_machine_is_away(
    environment: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.2)
    monkeypatch.setattr(module, "BACK_OFF_S", (0.05,))

    def away(*_: object, **__: object) -> None:
        raise StepError("connect", "no route", where="box", hint="x", lasting=False)

    monkeypatch.setattr(module, "open_link", away)
    with running(environment, place) as thread:
        thread.join(10)
        assert not thread.is_alive()
    assert find_tunnels(environment) == ()


def test_tunnels_that_do_not_answer_are_waited_for_side_by_side(
    environment: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", (60.0,))
    monkeypatch.setattr(client, "ANSWER_S", 1.0)
    with ExitStack() as stack:
        for name in ("hung1", "hung2", "hung3"):
            other = find_place(parse_address(f"ssh://{name}", where="x"), environment)
            other.folder.mkdir()
            hung = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            hung.bind(str(other.control))
            hung.listen()
        stack.enter_context(running(environment, place))
        began = monotonic()
        assert find_tunnels(environment) == (TunnelClient(address=ADDRESS, place=place),)
        assert 1 <= monotonic() - began < 2.5  # one after the other: 3


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  # to be refused
def test_what_the_engine_there_says_opens_no_port_to_others_here(
    environment: dict[str, str], place: Place, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", (60.0,))
    with running(environment, place):
        client = TunnelClient(address=ADDRESS, place=place)
        with pytest.raises(HostError, match="no loopback address"):
            client.forward(address, 0, 80)
        assert client.forward("127.0.0.1", 0, 80)
        assert [item["address"] for item in client.ask("status")["ports"]] == ["127.0.0.1"]


def test_a_folder_that_others_may_write_to_is_refused_before_anybody_there_is_asked(
    environment: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", (60.0,))
    with running(environment, place):
        assert not open_tunnel(ADDRESS, environment, NOBODY).fresh
        place.folder.chmod(0o777)
        with pytest.raises(HostError, match="not yours alone"):
            open_tunnel(ADDRESS, environment, NOBODY)


@pytest.mark.parametrize("way", ["ProxyJump app", "ProxyCommand {devbox}"])
def test_a_way_that_leads_through_the_tunnel_itself_is_told_and_not_waited_for(
    environment: dict[str, str], tmp_path: Path, way: str
) -> None:
    """As where a jump host has the name of a workstation, whose section `devbox ssh-config` wrote."""
    (tmp_path / "devbox.yaml").write_text(f"host: {ADDRESS}\n")
    devbox = f"{sys.executable} -m builder -C {tmp_path} status"
    (Path(environment["HOME"]) / ".ssh").mkdir()
    (Path(environment["HOME"]) / ".ssh/config").write_text(
        f"Host box\n  {way.format(devbox=devbox)}\n"
        f'Host app\n  HostName 127.0.0.1\n  Port 1\nMatch originalhost app exec "{devbox}"\n'
    )
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with pytest.raises(HostError, match="the tunnel would wait for itself") as caught:
        open_tunnel(ADDRESS, environment, NOBODY)
    assert (caught.value.where, caught.value.exit_code) == ("ssh://box", 8)
    assert "name of a workstation" in (caught.value.hint or "")


class Full:
    """A socket that cannot accept for once, as with too many open files."""

    def __init__(self) -> None:
        self.ends = list(socket.socketpair())
        self.failed = False

    def accept(self) -> tuple[socket.socket, str]:
        if not self.failed:
            self.failed = True
            raise OSError(errno.EMFILE, "too many open files")
        if len(self.ends) == 2:
            return self.ends.pop(), ""
        raise OSError(errno.EINVAL, "closed")

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...


def test_a_port_outlives_a_moment_of_too_many_open_files() -> None:
    full: Any = Full()
    served = threading.Event()
    listener = Listener(full, lambda _: served.set())
    assert served.wait(5)
    listener.close()
    wait_for("it to end", lambda: True if listener.open == 0 else None, deadline_s=5, interval_s=0.01)


def test_a_proxy_command_is_a_line_for_a_shell_and_one_that_is_not_there_is_told(environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    (home / ".ssh").mkdir()
    (home / ".ssh/config").write_text(f"ProxyCommand no-such-program %h 2>{home}/said\n")
    target = find_target(ADDRESS, environment)
    with pytest.raises(StepError, match="no SSH server answers") as caught:
        open_link(target, environment, ask=lambda _: None, on_step=lambda _: None, credentials=Credentials())
    assert caught.value.step == "host key"
    assert "no-such-program" in (home / "said").read_text()


class Ports:
    """A tunnel, and what is dropped of it."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, int]] = []

    def ask(self, do: str) -> dict[str, object]:
        assert do == "status"
        hosts = {8000: "172.18.0.2", 8001: "172.18.0.3", 6080: "127.0.0.1"}
        return {"ports": [{"address": "127.0.0.1", "here": port, "host": host} for port, host in hosts.items()]}

    def drop(self, address: str, here: int) -> None:
        self.dropped.append((address, here))


class Api:
    def inspect_container(self, name: str) -> dict[str, object]:
        networks = {"app": {"IPAddress": "172.18.0.2"}, "none": {"IPAddress": ""}}
        ports = {"6080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6080"}], "5900/tcp": None}
        return {"NetworkSettings": {"Networks": networks, "Ports": ports}}


def test_with_a_container_its_forwards_end_and_no_others() -> None:
    engine: Any = object.__new__(RemoteEngine)
    engine._tunnel, engine._api = Ports(), Api()
    engine._close_doors("app")
    assert engine._tunnel.dropped == [("127.0.0.1", 6080), ("127.0.0.1", 8000)]


def test_the_program_of_a_proxy_command_ends_with_its_connection(tmp_path: Path) -> None:
    program = Program(f"sh -c 'echo $$ >{tmp_path}/pid; echo hello; exec sleep 60'")
    with program:
        program.settimeout(10)
        assert program.recv(6) == b"hello\n"
        folder = Path("/proc") / (tmp_path / "pid").read_text().strip()
        assert folder.exists()
    assert not folder.exists()
    with Program("true") as ended:
        ended.settimeout(10)
        assert ended.recv(1) == b""
