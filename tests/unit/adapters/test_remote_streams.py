"""What a tunnel carries: whole, to its end in each direction, and no more of it in memory than a window."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
import pytest

from builder.adapters.clock import wait_for
from builder.adapters.remote.address import parse_address
from builder.adapters.remote.link import UNSENT, _open_wire
from builder.adapters.remote.sshconfig import find_target
from builder.adapters.remote.streams import PILE, join
from builder.adapters.remote.transport import READ, WINDOW, BufferedWire, Transport

MB = 1 << 20
PLENTY = bytes(range(256)) * (3 * MB // 256)


class Server(paramiko.ServerInterface):
    """Lets everybody in, and everything be opened."""

    def check_auth_none(self, username: str) -> int:
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)


@dataclass
class Ends:
    """A connection within this process: ours, and the SSH server's."""

    ours: Transport
    theirs: paramiko.Transport
    open: list[socket.socket] = field(default_factory=list)

    def stream(self) -> tuple[socket.socket, paramiko.Channel]:
        """A port that is carried: its near end, and the far one as the server sees it."""
        near, inner = socket.socketpair()
        near.settimeout(10)
        channel = self.ours.open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 0), timeout=10)
        far = self.theirs.accept(10)
        assert far is not None
        far.settimeout(10)
        threading.Thread(target=self._carry, args=(inner, channel), daemon=True).start()
        self.open.append(near)
        return near, far

    @staticmethod
    def _carry(inner: socket.socket, channel: paramiko.Channel) -> None:
        with inner:
            join(inner, channel)


@pytest.fixture(scope="module")
def host_key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def ends(host_key: paramiko.PKey) -> Iterator[Ends]:
    near, far = socket.socketpair()
    theirs = paramiko.Transport(far, default_window_size=WINDOW)
    theirs.add_server_key(host_key)
    theirs.start_server(threading.Event(), Server())
    ours = Transport(near)
    ours.start_client(timeout=10)
    ours.auth_none("dev")
    found = Ends(ours=ours, theirs=theirs)
    yield found
    ours.close()
    theirs.close()
    for wire in found.open:
        wire.close()


def read_all(wire: socket.socket | paramiko.Channel) -> bytes:
    data = bytearray()
    while piece := wire.recv(MB):
        data += piece
    return bytes(data)


def send_all(wire: socket.socket | paramiko.Channel) -> None:
    wire.sendall(PLENTY)
    wire.shutdown(socket.SHUT_WR)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_half_that_ends_is_an_end_over_there_and_the_other_half_goes_on(ends: Ends) -> None:
    near, far = ends.stream()
    near.sendall(b"build this")
    near.shutdown(socket.SHUT_WR)
    assert read_all(far) == b"build this"
    far.sendall(b"done")
    far.shutdown_write()
    assert read_all(near) == b"done"


def test_plenty_comes_whole_in_both_directions_while_the_keys_are_renewed(ends: Ends) -> None:
    ends.ours.packetizer.REKEY_BYTES = MB  # of both at once paramiko, other than OpenSSH, makes two that wait for ever
    before = ends.ours.H
    near, far = ends.stream()
    back: list[bytes] = []
    ways = [
        threading.Thread(target=lambda: back.append(read_all(far))),
        threading.Thread(target=send_all, args=(near,)),
        threading.Thread(target=send_all, args=(far,)),
    ]
    for way in ways:
        way.start()
    assert digest(read_all(near)) == digest(PLENTY)
    for way in ways:
        way.join(10)
    assert list(map(digest, back)) == [digest(PLENTY)]
    assert before != ends.ours.H


def test_who_does_not_read_holds_up_no_other_and_no_more_than_a_window_is_kept(ends: Ends) -> None:
    lazy, giver = ends.stream()
    given = 0

    def give() -> None:
        nonlocal given
        with suppress(OSError, EOFError):
            while True:
                given += giver.send(PLENTY)

    threading.Thread(target=give, daemon=True).start()

    looks = [0]

    def stuck() -> int | None:
        looks.append(given)
        other, echo = ends.stream()
        with other, echo:
            other.sendall(b"?")
            assert echo.recv(1) == b"?"
            echo.sendall(b"!")
            assert other.recv(1) == b"!"
        return given if given == looks[-2] >= WINDOW else None

    stopped = wait_for("it to stop", stuck, deadline_s=20, interval_s=0.1)
    assert stopped <= WINDOW + WINDOW // 10 + PILE + MB  # a part that is not told yet, one on its way, and a socket's
    assert len(lazy.recv(MB))


def test_the_cipher_is_one_that_takes_one_pass_and_others_are_offered_too(ends: Ends) -> None:
    assert "aes256-ctr" in ends.ours.get_security_options().ciphers
    assert vars(ends.ours)["local_cipher"] == vars(ends.ours)["remote_cipher"] == "aes128-gcm@openssh.com"


def test_a_key_waits_behind_little_that_the_kernel_keeps_of_a_stream(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as machine:
        address = parse_address(f"ssh://127.0.0.1:{machine.getsockname()[1]}", where="x")
        wire = _open_wire(find_target(address, {"HOME": str(tmp_path)}), lambda _: None, [])
        assert isinstance(wire, socket.socket)
        with wire:
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT


class Pieces:
    """A wire on which these come, one at a time; None is a time-out."""

    def __init__(self, *pieces: bytes | None) -> None:
        self.pieces = list(pieces)
        self.asked: list[int] = []
        self.send = self.close = None

    def recv(self, count: int) -> bytes:
        self.asked.append(count)
        if (piece := self.pieces.pop(0)) is None:
            raise TimeoutError
        return piece


def test_a_wire_is_read_as_far_as_it_goes_and_handed_out_as_asked_for() -> None:
    pieces: Any = Pieces(b"headrest", None, b"of it", b"")
    wire = BufferedWire(pieces)
    assert (wire.recv(4), wire.recv(9)) == (b"head", b"rest")
    assert pieces.asked == [READ]
    with pytest.raises(TimeoutError):
        wire.recv(1)
    assert (wire.recv(9), wire.recv(1)) == (b"of it", b"")
