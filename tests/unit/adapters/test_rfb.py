"""The VNC client against a scripted server on a socket pair: every byte of it is under the test's control."""

from __future__ import annotations

import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from builder.adapters.rfb import (
    PACKED,
    PLAIN,
    ConnectionLostError,
    Greeting,
    LoginRefusedError,
    NoVncServerError,
    Picture,
    ProtocolFaultError,
    ResizeRefusedError,
    TooManyFailuresError,
    UnknownKeyError,
    VncClient,
    VncTimeoutError,
    ask_tight,
    connect,
    greet,
    security_types,
)
from builder.adapters.rfb.login import answer_challenge
from builder.errors import NotReadyError

SHORT = 0.3
RED, GREEN, BLUE = b"\0\0\xff\0", b"\0\xff\0\0", b"\xff\0\0\0"
CHALLENGE = bytes(range(16))
KNOWN_RESPONSE = "b866924125c8eebb9debc1db61c538e2"


class Server:
    """The server's end: `script` runs in a thread; what goes wrong in it comes up when the test ends."""

    def __init__(self, script: Callable[[Server], None]) -> None:
        self.far, self.socket = socket.socketpair()
        self.socket.settimeout(5)
        self.error: BaseException | None = None
        self.asked: tuple[int, ...] = ()  # encodings, the best first
        self._script = script
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._script(self)
        except (OSError, AssertionError) as error:
            self.error = error
        finally:
            self.socket.close()

    def finish(self) -> None:
        self.far.close()
        self._thread.join(5)
        assert not self._thread.is_alive()
        if isinstance(self.error, AssertionError):
            raise self.error

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the client hung up")
            data += chunk
        return data

    def wait_for_hang_up(self) -> None:
        while self.socket.recv(1 << 16):
            pass

    def greet(self, types: bytes = b"\x01", version: bytes = b"RFB 003.008\n") -> None:
        self.send(version)
        assert self.read(12) == version
        self.send(bytes([len(types)]) + types)

    def open(self, width: int = 4, height: int = 2, name: bytes = b"box") -> None:
        """Everything up to the client's SetEncodings, without a password."""
        self.greet()
        assert self.read(1) == b"\x01"
        self.send(struct.pack(">I", 0))
        self.describe(width, height, name)

    def describe(self, width: int, height: int, name: bytes = b"box") -> None:
        assert self.read(1) == b"\x01"
        self.send(struct.pack(">HH16xI", width, height, len(name)) + name)
        assert self.read(20)[:4] == b"\0\0\0\0"
        kind, count = struct.unpack(">BxH", self.read(4))
        assert kind == 2
        self.asked = struct.unpack(f">{count}i", self.read(4 * count))

    def request(self) -> tuple[int, int, int]:
        kind, incremental, _x, _y, width, height = struct.unpack(">BBHHHH", self.read(10))
        assert kind == 3
        return incremental, width, height


def update(*rectangles: bytes) -> bytes:
    return struct.pack(">BxH", 0, len(rectangles)) + b"".join(rectangles)


def rectangle(x: int, y: int, width: int, height: int, encoding: int, body: bytes = b"") -> bytes:
    return struct.pack(">HHHHi", x, y, width, height, encoding) + body


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Server], None]], Server]]:
    servers: list[Server] = []

    def start(script: Callable[[Server], None]) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()


Serve = Callable[[Callable[[Server], None]], Server]


def greeted(server: Server, timeout: float = 5) -> Greeting:
    return greet(server.far, timeout, where="test")


def logged_in(
    serve: Serve, script: Callable[[Server], None], *, encodings: Sequence[int] = PLAIN, timeout: float = 5
) -> VncClient:
    def whole(server: Server) -> None:
        server.open()
        script(server)
        server.wait_for_hang_up()

    return greeted(serve(whole), timeout).login(None, encodings=encodings)


class TestTheDoor:
    def test_a_port_where_nobody_listens_is_no_vnc_server(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(NoVncServerError, match="refused") as caught:
                connect("127.0.0.1", free.getsockname()[1], SHORT)
        assert isinstance(caught.value, NotReadyError)
        assert caught.value.exit_code == 6

    def test_another_kind_of_server_is_quoted(self, serve: Serve) -> None:
        with pytest.raises(NoVncServerError, match=r"SSH-2\.0-Open"):
            greeted(serve(lambda server: server.send(b"SSH-2.0-OpenSSH_9.2\r\n")))

    def test_half_a_banner_and_then_the_end_is_no_vnc_server(self, serve: Serve) -> None:
        with pytest.raises(NoVncServerError, match=r"RFB 00"):
            greeted(serve(lambda server: server.send(b"RFB 00")))

    def test_a_silent_server_is_given_up_in_time(self, serve: Serve) -> None:
        begun = time.monotonic()
        with pytest.raises(NoVncServerError, match="it said nothing"):
            greeted(serve(Server.wait_for_hang_up), SHORT)
        assert time.monotonic() - begun < 3

    def test_a_server_that_drips_bytes_cannot_stretch_the_deadline(self, serve: Serve) -> None:
        def drip(server: Server) -> None:
            for byte in b"RFB 003.008":
                server.send(bytes([byte]))
                server.socket.settimeout(0.5)
                try:
                    server.socket.recv(1)
                except TimeoutError:
                    continue

        begun = time.monotonic()
        with pytest.raises(NoVncServerError):
            greeted(serve(drip), SHORT)
        assert time.monotonic() - begun < 3

    def test_the_offered_types_are_told_before_the_login(self, serve: Serve) -> None:
        assert greeted(serve(lambda server: server.greet(b"\x02\x10"))).security_types == (2, 16)

    def test_security_types_over_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                link, _ = listener.accept()
                with link:
                    link.sendall(b"RFB 003.008\n")
                    link.recv(12)
                    link.sendall(b"\x01\x02")

            thread = threading.Thread(target=answer)
            thread.start()
            assert security_types("127.0.0.1", listener.getsockname()[1], 5) == (2,)
            thread.join(5)

    @pytest.mark.parametrize("reason", [b"Too many security failures", b"too many tries"])
    def test_a_blocked_address_is_told_apart(self, serve: Serve, reason: bytes) -> None:
        def turn_away(server: Server) -> None:
            # TigerVNC's way: it falls back to 3.3 and hangs up without reading.
            server.send(b"RFB 003.003\n" + struct.pack(">II", 0, len(reason)) + reason)

        with pytest.raises(TooManyFailuresError) as caught:
            greeted(serve(turn_away))
        assert caught.value.reason == reason.decode()

    def test_no_type_at_all_is_a_refusal_with_the_reason(self, serve: Serve) -> None:
        def turn_away(server: Server) -> None:
            server.greet(b"")
            server.send(struct.pack(">I", 4) + b"busy")

        with pytest.raises(LoginRefusedError, match="busy"):
            greeted(serve(turn_away))

    def test_the_response_to_a_known_challenge(self) -> None:
        # Key "password" bit-reversed is 0e86ceceeef64e26; computed independently with DES of OpenSSL.
        assert answer_challenge(CHALLENGE, "password").hex() == KNOWN_RESPONSE
        assert answer_challenge(CHALLENGE, "password and more").hex() == KNOWN_RESPONSE
        assert answer_challenge(CHALLENGE, "passwor") != answer_challenge(CHALLENGE, "password")

    @pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"])
    def test_a_password_is_accepted_in_each_version(self, serve: Serve, version: bytes) -> None:
        def accept(server: Server) -> None:
            if version == b"RFB 003.003\n":
                server.send(version)
                assert server.read(12) == version
                server.send(struct.pack(">I", 2))
            else:
                server.greet(b"\x02", version)
                assert server.read(1) == b"\x02"
            server.send(CHALLENGE)
            assert server.read(16) == answer_challenge(CHALLENGE, "hunter2")
            server.send(struct.pack(">I", 0))
            server.describe(8, 6, b"desk")
            server.wait_for_hang_up()

        client = greeted(serve(accept)).login("hunter2")
        assert (client.name, client.size) == ("desk", (8, 6))

    @pytest.mark.parametrize(
        ("version", "told"), [(b"RFB 003.007\n", "no reason"), (b"RFB 003.008\n", "Authentication failure")]
    )
    def test_a_wrong_password_brings_the_servers_reason(self, serve: Serve, version: bytes, told: str) -> None:
        def refuse(server: Server) -> None:
            server.greet(b"\x02", version)
            server.read(1)
            server.send(CHALLENGE)
            server.read(16)
            reason = b"Authentication failure"
            tail = struct.pack(">I", len(reason)) + reason if version == b"RFB 003.008\n" else b""
            server.send(struct.pack(">I", 1) + tail)

        with pytest.raises(LoginRefusedError, match=told) as caught:
            greeted(serve(refuse)).login("wrong")
        assert not isinstance(caught.value, TooManyFailuresError)

    def test_no_password_where_one_is_wanted(self, serve: Serve) -> None:
        with pytest.raises(LoginRefusedError, match="wants a password"):
            greeted(serve(lambda server: server.greet(b"\x02"))).login(None)

    def test_only_unknown_types(self, serve: Serve) -> None:
        with pytest.raises(LoginRefusedError, match="only security types 19, 30"):
            greeted(serve(lambda server: server.greet(b"\x13\x1e"))).login("x")

    def test_a_door_that_is_forced_and_stays_shut(self, serve: Serve) -> None:
        def shut(server: Server) -> None:
            server.greet(b"\x02")
            assert server.read(1) == b"\x01"

        with pytest.raises(LoginRefusedError, match="hung up"):
            greeted(serve(shut)).login(None, force=1)

    def test_a_server_that_stops_after_the_login(self, serve: Serve) -> None:
        def stall(server: Server) -> None:
            server.greet()
            server.wait_for_hang_up()

        with pytest.raises(VncTimeoutError, match="answer to the login"):
            greeted(serve(stall), SHORT).login(None)

    def test_a_screen_of_impossible_size_closes_the_connection(self, serve: Serve) -> None:
        def lie(server: Server) -> None:
            server.greet()
            server.read(1)
            server.send(struct.pack(">I", 0) + struct.pack(">HH16xI", 65535, 65535, 0))
            server.wait_for_hang_up()

        with pytest.raises(ProtocolFaultError, match="65535 x 65535"):
            greeted(serve(lie)).login(None)


class TestThePicture:
    def test_raw_and_copied_rectangles(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            assert server.request() == (0, 4, 2)
            server.send(update(rectangle(0, 0, 4, 2, 0, RED * 2 + BLUE * 2 + GREEN * 4)))
            assert server.request() == (1, 4, 2)
            server.send(update(rectangle(2, 0, 2, 2, 1, struct.pack(">HH", 0, 0)), rectangle(0, 1, 1, 1, 0, BLUE)))

        client = logged_in(serve, paint)
        assert client.picture().rgb == bytes.fromhex("ff0000" * 2 + "0000ff" * 2 + "00ff00" * 4)
        told = client.next_update(1)
        assert told is not None
        assert (told.rectangles, told.pixels, told.bytes) == (2, 5, 4 + 16 + 16)
        picture = client.snapshot()
        assert [picture.pixel(x, 0) for x in (0, 1, 2, 3)] == [(255, 0, 0)] * 4
        assert picture.pixel(0, 1) == (0, 0, 255)

    def test_a_copy_onto_itself_reads_before_it_writes(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.send(update(rectangle(0, 0, 4, 2, 0, (RED + GREEN + BLUE + BLUE) * 2)))
            server.send(update(rectangle(1, 0, 3, 2, 1, struct.pack(">HH", 0, 0))))

        client = logged_in(serve, paint)
        client.next_update(1)
        client.next_update(1)
        assert client.snapshot().rgb[:12].hex() == "ff0000" + "ff0000" + "00ff00" + "0000ff"

    def test_torn_packets_are_put_together(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            for byte in update(rectangle(0, 0, 4, 2, 0, GREEN * 8)):
                server.send(bytes([byte]))

        client = logged_in(serve, paint)
        assert client.picture().is_one_colour()

    def test_a_picture_may_come_in_parts(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            assert server.request()[0] == 0
            server.send(update(rectangle(0, 0, 4, 1, 0, RED * 4)))
            assert server.request()[0] == 1
            server.send(update(rectangle(0, 1, 4, 1, 0, RED * 4)))

        assert logged_in(serve, paint).picture().colours(9) == 1

    def test_a_server_that_never_paints_is_given_up_in_time(self, serve: Serve) -> None:
        client = logged_in(serve, lambda server: None)
        with pytest.raises(VncTimeoutError, match=r"a whole picture did not come within 0\.2 s"):
            client.picture(0.2)
        assert client.next_update(0.05) is None

    def test_a_server_that_stops_inside_an_update_closes_the_session(self, serve: Serve) -> None:
        client = logged_in(serve, lambda server: server.send(update(rectangle(0, 0, 4, 2, 0, RED))), timeout=1)
        with pytest.raises(VncTimeoutError, match="4 of 32 bytes"):
            client.picture(5)
        with pytest.raises(ConnectionLostError):
            client.picture(5)

    def test_a_lost_connection_is_told(self, serve: Serve) -> None:
        def vanish(server: Server) -> None:
            server.open()
            server.request()

        client = greeted(serve(vanish)).login(None)
        with pytest.raises(ConnectionLostError, match="the server closed it"):
            client.picture(5)

    @pytest.mark.parametrize(
        ("message", "told"),
        [
            (update(rectangle(3, 0, 4, 2, 0, RED * 8)), "outside"),
            (update(rectangle(0, 0, 4, 2, 77)), "unknown encoding 77"),
            (b"\x63", "unknown type 99"),
            (update(rectangle(0, 0, 4, 2, 6, struct.pack(">I", 3) + b"abc")), "damaged"),
            (update(rectangle(0, 0, 65535, 65535, -223)), "65535 x 65535"),
        ],
    )
    def test_nonsense_is_named_and_ends_the_session(self, serve: Serve, message: bytes, told: str) -> None:
        client = logged_in(serve, lambda server: server.send(message))
        with pytest.raises(ProtocolFaultError, match=told):
            client.picture(5)
        with pytest.raises(ConnectionLostError):
            client.picture(5)

    def test_zlib_keeps_its_stream_between_rectangles(self, serve: Serve) -> None:
        packer = zlib.compressobj()

        def packed(data: bytes) -> bytes:
            body = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
            return struct.pack(">I", len(body)) + body

        def paint(server: Server) -> None:
            server.request()
            server.send(update(rectangle(0, 0, 4, 1, 6, packed(RED * 4)), rectangle(0, 1, 4, 1, 6, packed(BLUE * 4))))

        assert logged_in(serve, paint, encodings=PACKED).picture().colours(9) == 2

    @pytest.mark.parametrize(
        ("tile", "rgb"),
        [
            (b"\0" + b"\x03\x02\x01" * 8, "010203" * 8),
            (b"\x01\x00\x00\xff", "ff0000" * 8),
            (b"\x02\0\0\xff\xff\0\0" + b"\x50\xa0", ("ff0000" + "0000ff") * 2 + ("0000ff" + "ff0000") * 2),
            (b"\x03\0\0\xff\xff\0\0\0\xff\0" + b"\x1a\x00", "ff0000" + "0000ff" + "00ff00" * 2 + "ff0000" * 4),
            (b"\x80\0\0\xff\x02\xff\0\0\x04", "ff0000" * 3 + "0000ff" * 5),
            (b"\x82\0\0\xff\xff\0\0" + b"\x81\x06\x00", "0000ff" * 7 + "ff0000"),
        ],
        ids=["raw", "solid", "two colours", "three colours", "runs", "palette runs"],
    )
    def test_zrle_tiles(self, serve: Serve, tile: bytes, rgb: str) -> None:
        def paint(server: Server) -> None:
            body = zlib.compress(tile)
            server.send(update(rectangle(0, 0, 4, 2, 16, struct.pack(">I", len(body)) + body)))

        client = logged_in(serve, paint, encodings=PACKED)
        client.next_update(1)
        assert client.snapshot().rgb.hex() == rgb

    @pytest.mark.parametrize("tile", [b"\0\0\0", b"\x80\0\0\xff", b"\x81", b"\x82\0\0\xff\xff\0\0\x7f"])
    def test_broken_zrle_is_a_fault_not_a_crash(self, serve: Serve, tile: bytes) -> None:
        body = zlib.compress(tile)
        message = update(rectangle(0, 0, 4, 2, 16, struct.pack(">I", len(body)) + body))
        with pytest.raises(ProtocolFaultError):
            logged_in(serve, lambda server: server.send(message), encodings=PACKED).next_update(1)

    @pytest.mark.parametrize(
        ("encodings", "levels"),
        [
            (ask_tight(quality=6, compression=2), {-26, -254}),
            (ask_tight(quality=0, compression=9), {-32, -247}),
            (ask_tight(quality=9), {-23}),
            (ask_tight(compression=0), {-256}),
            (ask_tight(), set()),
            (PACKED, set()),
        ],
    )
    def test_levels_are_asked_for_only_where_they_are_given(
        self, serve: Serve, encodings: Sequence[int], levels: set[int]
    ) -> None:
        def paint(server: Server) -> None:
            assert {level for level in server.asked if -32 <= level <= -23 or -256 <= level <= -247} == levels
            server.request()
            server.send(update(rectangle(0, 0, 4, 2, 0, RED * 8)))

        assert logged_in(serve, paint, encodings=encodings).picture().is_one_colour()

    def test_a_tight_update_without_a_count_ends_with_its_last_rectangle(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            fills = [rectangle(x, 0, 2, 2, 7, b"\x80" + colour) for x, colour in ((0, b"\xff\0\0"), (2, b"\0\0\xff"))]
            server.send(struct.pack(">BxH", 0, 65535) + b"".join(fills) + rectangle(0, 0, 0, 0, -224))

        client = logged_in(serve, paint, encodings=ask_tight())
        told = client.next_update(1)
        assert told is not None
        assert (told.rectangles, told.pixels) == (2, 8)
        assert client.snapshot().rgb.hex() == ("ff0000" * 2 + "0000ff" * 2) * 2

    def test_broken_tight_ends_the_session(self, serve: Serve) -> None:
        message = update(rectangle(0, 0, 4, 2, 7, b"\xf0"))
        client = logged_in(serve, lambda server: server.send(message), encodings=ask_tight())
        with pytest.raises(ProtocolFaultError, match="unknown kind 15"):
            client.picture(5)
        with pytest.raises(ConnectionLostError):
            client.picture(5)

    def test_the_pointers_shape_is_read_and_left_out(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            cursor = rectangle(0, 0, 9, 2, -239, b"\xff" * (4 * 18 + 2 * 2))
            server.send(update(cursor, rectangle(0, 0, 4, 2, 0, RED * 8)))

        client = logged_in(serve, paint)
        told = client.next_update(1)
        assert told is not None
        assert told.pixels == 8
        assert client.snapshot().is_one_colour()

    def test_bells_and_colour_maps_between_updates_do_no_harm(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(b"\x02" + struct.pack(">BxHH6x", 1, 0, 1) + update(rectangle(0, 0, 4, 2, 0, RED * 8)))

        client = logged_in(serve, paint)
        assert client.picture().is_one_colour()
        assert client.bells == 1


class TestTheSize:
    def layout(self, width: int, height: int, *, cause: int = 0, status: int = 0) -> bytes:
        return rectangle(cause, status, width, height, -308, struct.pack(">BxxxIHHHHI", 1, 7, 0, 0, width, height, 0))

    def test_the_server_changes_its_size(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(rectangle(0, 0, 2, 3, -223)))
            assert server.request() == (0, 2, 3)
            server.send(update(rectangle(0, 0, 2, 3, 0, BLUE * 6)))

        picture = logged_in(serve, paint).picture()
        assert (picture.width, picture.height, picture.pixel(1, 2)) == (2, 3, (0, 0, 255))

    def test_a_resize_that_the_server_accepts(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(self.layout(4, 2), rectangle(0, 0, 4, 2, 0, RED * 8)))
            asked = struct.unpack(">BxHHBxIHHHHI", server.read(24))
            assert asked == (251, 3, 3, 1, 7, 0, 0, 3, 3, 0)
            server.request()
            server.send(update(self.layout(3, 3, cause=1)))

        client = logged_in(serve, paint)
        client.resize(3, 3)
        assert client.size == (3, 3)

    def test_a_resize_that_the_server_refuses(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(self.layout(4, 2), rectangle(0, 0, 4, 2, 0, RED * 8)))
            server.read(24)
            server.send(update(self.layout(4, 2, cause=1, status=1)))

        client = logged_in(serve, paint)
        with pytest.raises(ResizeRefusedError, match="prohibited"):
            client.resize(3, 3)
        assert client.size == (4, 2)

    def test_a_server_without_resize_is_not_asked(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(rectangle(0, 0, 4, 2, 0, RED * 8)))

        with pytest.raises(ResizeRefusedError, match="cannot resize"):
            logged_in(serve, paint).resize(3, 3)


class TestTheWaits:
    def test_wait_picture_returns_the_first_that_fits(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            for colour in (RED, GREEN, BLUE):
                server.request()
                server.send(update(rectangle(0, 0, 4, 2, 0, colour * 8)))

        client = logged_in(serve, paint)
        assert client.wait_picture(lambda picture: picture.pixel(0, 0) == (0, 0, 255), 5).is_one_colour()

    def test_wait_picture_names_what_it_waited_for(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(rectangle(0, 0, 4, 2, 0, RED * 8)))

        with pytest.raises(VncTimeoutError, match=r"the panel did not come within 0\.2 s"):
            logged_in(serve, paint).wait_picture(lambda _: False, 0.2, what="the panel")

    def test_settle_ignores_changes_within_the_tolerance(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            server.request()
            server.send(update(rectangle(0, 0, 4, 2, 0, RED * 8)))
            while True:
                server.request()
                server.send(update(rectangle(0, 0, 1, 1, 0, BLUE)))

        assert logged_in(serve, paint).settle(0.2, 5, tolerance=0.2).pixel(0, 0) == (255, 0, 0)

    def test_settle_gives_up_on_a_screen_that_never_rests(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            colour = RED
            while True:
                server.request()
                server.send(update(rectangle(0, 0, 4, 2, 0, colour * 8)))
                colour = BLUE if colour == RED else RED

        with pytest.raises(VncTimeoutError, match="rests"):
            logged_in(serve, paint).settle(0.2, 0.5)

    def test_updates_can_be_counted(self, serve: Serve) -> None:
        def paint(server: Server) -> None:
            for _ in range(5):
                server.request()
                server.send(update(rectangle(0, 0, 4, 2, 0, RED * 8)))

        told = list(logged_in(serve, paint).updates(0.3))
        assert [one.bytes for one in told] == [48] * 5
        assert told == sorted(told, key=lambda one: one.seconds)


class TestHands:
    def heard(self, serve: Serve, count: int, act: Callable[[VncClient], None]) -> bytes:
        box: list[bytes] = []
        done = threading.Event()

        def listen(server: Server) -> None:
            box.append(server.read(count))
            done.set()

        act(logged_in(serve, listen))
        assert done.wait(5)
        return box[0]

    def test_text_is_typed_key_by_key(self, serve: Serve) -> None:
        heard = self.heard(serve, 64, lambda client: client.hands.type_text("Aé€\n"))
        events = [struct.unpack(">BBxxI", heard[start : start + 8]) for start in range(0, 64, 8)]
        assert [event[2] for event in events[::2]] == [0x41, 0xE9, 0x010020AC, 0xFF0D]
        assert [event[1] for event in events] == [1, 0] * 4

    def test_a_chord_is_released_in_reverse(self, serve: Serve) -> None:
        heard = self.heard(serve, 32, lambda client: client.hands.press("ctrl+T"))
        events = [struct.unpack(">xBxxI", heard[start : start + 8]) for start in range(0, 32, 8)]
        assert events == [(1, 0xFFE3), (1, 0x54), (0, 0x54), (0, 0xFFE3)]

    @pytest.mark.parametrize("key", ["hyper+q", "\x07", ""])
    def test_unknown_keys_are_refused(self, serve: Serve, key: str) -> None:
        client = logged_in(serve, lambda server: None)
        with pytest.raises(UnknownKeyError):
            client.hands.press(key)

    def test_a_click_and_a_drag(self, serve: Serve) -> None:
        def act(client: VncClient) -> None:
            client.hands.click(3, 1, button=3)
            client.hands.drag((0, 0), (80, 160))

        heard = self.heard(serve, 6 * 14, act)
        events = [struct.unpack(">BBHH", heard[start : start + 6]) for start in range(0, len(heard), 6)]
        assert events[:3] == [(5, 0, 3, 1), (5, 4, 3, 1), (5, 0, 3, 1)]
        assert events[4] == (5, 1, 0, 0)
        assert events[-2:] == [(5, 1, 80, 160), (5, 0, 80, 160)]


class TestTheClipboard:
    CAPS = struct.pack(">BxxxiII", 3, -8, 0x1F000001, 0)

    def extended(self, flags: int, text: str = "") -> bytes:
        data = text.encode() + b"\0"
        tail = zlib.compress(struct.pack(">I", len(data)) + data) if text else b""
        return struct.pack(">iI", -4 - len(tail), flags) + tail

    def test_plain_text_both_ways(self, serve: Serve) -> None:
        def trade(server: Server) -> None:
            assert server.read(8 + 4) == struct.pack(">BxxxI", 6, 4) + b"\xfcber"
            server.send(struct.pack(">BxxxI", 3, 3) + b"\xe9t\xe9")

        client = logged_in(serve, trade)
        client.set_clipboard("über")
        assert client.wait_clipboard(5) == "été"

    def test_plain_text_cannot_carry_more_than_latin_1(self, serve: Serve) -> None:
        client = logged_in(serve, lambda server: None)
        with pytest.raises(UnknownKeyError, match="Latin-1"):
            client.set_clipboard("漢")

    def test_unicode_both_ways_where_the_server_can(self, serve: Serve) -> None:
        def trade(server: Server) -> None:
            server.send(self.CAPS)
            assert server.read(4 + 12)[:4] == b"\x06\0\0\0"
            server.send(b"\x03\0\0\0" + self.extended(1 << 27 | 1))
            assert server.read(12) == b"\x06\0\0\0" + self.extended(1 << 25 | 1)
            server.send(b"\x03\0\0\0" + self.extended(1 << 28 | 1, "漢\r\n€"))
            assert server.read(12) == b"\x06\0\0\0" + self.extended(1 << 27 | 1)
            wanted = b"\x06\0\0\0" + self.extended(1 << 28 | 1, "ж\r\n2")
            assert server.read(len(wanted)) == wanted
            server.send(b"\x03\0\0\0" + self.extended(1 << 28 | 1, "done"))

        client = logged_in(serve, trade)
        assert client.wait_clipboard(5) == "漢\n€"
        client.set_clipboard("ж\n2")
        assert client.wait_clipboard(5, lambda text: text == "done") == "done"

    def test_a_wait_without_text_ends(self, serve: Serve) -> None:
        with pytest.raises(VncTimeoutError, match="the clipboard's text"):
            logged_in(serve, lambda server: None).wait_clipboard(0.1)


class TestPictures:
    def test_predicates(self, tmp_path: Path) -> None:
        plain = Picture(width=2, height=2, rgb=b"\1\2\3" * 4)
        other = Picture(width=2, height=2, rgb=b"\1\2\3" * 3 + b"\1\2\4")
        assert plain.is_one_colour()
        assert not other.is_one_colour()
        assert (plain.colours(9), other.colours(9), other.colours(1)) == (1, 2, 1)
        assert plain.difference(other) == 0.25
        assert plain.difference(plain) == 0.0
        assert plain.difference(Picture(width=4, height=1, rgb=plain.rgb)) == 1.0

    def test_a_png_holds_the_same_pixels(self, tmp_path: Path) -> None:
        from PIL import Image

        picture = Picture(width=2, height=1, rgb=b"\1\2\3\4\5\6")
        picture.save_png(tmp_path / "still.png")
        with Image.open(tmp_path / "still.png") as image:
            assert image.convert("RGB").tobytes() == picture.rgb
