"""Owns a VNC session: one connection, from the greeting to the picture (RFC 6143).

Synchronous and single-threaded: messages of the server are read only while a method waits. Every wait has a
deadline in seconds. Not here: what a picture means (readiness, verify), how a password is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from builder.adapters.rfb.clipboard import Clipboard
from builder.adapters.rfb.decode import PLAIN, Decoder, Encoding
from builder.adapters.rfb.faults import (
    LoginRefusedError,
    ProtocolFaultError,
    ResizeRefusedError,
    VncError,
    VncTimeoutError,
)
from builder.adapters.rfb.hands import Hands
from builder.adapters.rfb.login import log_in, read_security_types, read_version
from builder.adapters.rfb.picture import Framebuffer, Picture
from builder.adapters.rfb.wire import Stream, Wire, open_stream

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, SET_DESKTOP_SIZE = 0, 2, 3, 251
PSEUDO_ENCODINGS = (Encoding.DESKTOP_SIZE, Encoding.EXTENDED_DESKTOP_SIZE, Encoding.CURSOR, Encoding.EXTENDED_CLIPBOARD)
RESIZE_FAULTS = {1: "it is prohibited", 2: "out of resources", 3: "it takes the layout as invalid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One framebuffer update: `seconds` since the client logged in, `bytes` on the wire, `pixels` painted."""

    seconds: float
    bytes: int
    rectangles: int
    pixels: int


class Greeting:
    """A connection that was greeted but not logged in: `version` and `security_types` are known."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.version = read_version(wire)
        self.security_types = read_security_types(wire, self.version)

    def login(
        self, password: str | None, *, shared: bool = True, encodings: Sequence[int] = PLAIN, force: int | None = None
    ) -> VncClient:
        """Log in with the password, or without where the server allows that and none is given.

        `encodings` (PLAIN, PACKED, `ask_tight`) are how pixels may come, the best first; `force` chooses a
        security type whether it was offered or not. Raises LoginRefusedError, TooManyFailuresError.
        """
        try:
            log_in(self._wire, self.version, self.security_types, password, force)
            return VncClient(self._wire, shared=shared, encodings=encodings)
        except VncError:
            self.close()
            raise

    def close(self) -> None:
        self._wire.close()


class VncClient:
    """A session. Use as a context manager, or call `close`."""

    def __init__(self, wire: Wire, *, shared: bool = True, encodings: Sequence[int] = PLAIN) -> None:
        self._wire = wire
        wire.begin("the description of the screen")
        wire.send("B", int(shared))
        self._screen = Framebuffer(wire.u16(), wire.u16())
        wire.skip(16)
        self.name = wire.text()
        self.hands = Hands(wire)
        self.bells = 0
        self._clipboard = Clipboard(wire)
        self._decoder = Decoder(wire)
        self._started = time.monotonic()
        self._last: Update | None = None
        self._serial = 0
        self._requested = False
        self._want_all = True
        self._uncovered = 1
        self._layout: tuple[int, int] | None = None
        self._resize_status: int | None = None
        self._introduce(encodings)

    def __enter__(self) -> VncClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._wire.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screen as last told."""
        return self._screen.width, self._screen.height

    def snapshot(self) -> Picture:
        """What has come in so far, without a word to the server."""
        return self._screen.picture()

    def picture(self, deadline_s: float = 10.0) -> Picture:
        """The whole screen as it is now. Raises VncTimeoutError."""
        until = time.monotonic() + deadline_s
        self._drain()
        self._want_all, self._requested, self._uncovered = True, False, 1
        while self._uncovered > 0:
            if self.next_update(until - time.monotonic()) is None:
                raise self._late("a whole picture", deadline_s)
        return self.snapshot()

    def next_update(self, seconds: float) -> Update | None:
        """Ask for changes and read one update; None when nothing changed in that time."""
        until = time.monotonic() + seconds
        seen = self._serial
        self._request()
        while self._serial == seen:
            if not self._receive(until - time.monotonic()):
                return None
        return self._last

    def updates(self, seconds: float) -> Iterator[Update]:
        """All updates of that time, each requested when the one before has arrived: for measurements."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            update = self.next_update(left)
            if update is not None:
                yield update

    def wait_picture(
        self, predicate: Callable[[Picture], bool], deadline_s: float, *, what: str = "the awaited picture"
    ) -> Picture:
        """The first picture that satisfies `predicate`. VncTimeoutError names `what`."""
        until = time.monotonic() + deadline_s
        picture = self.picture(deadline_s)
        while not predicate(picture):
            if self.next_update(until - time.monotonic()) is None:
                raise self._late(what, deadline_s)
            picture = self.snapshot()
        return picture

    def settle(self, quiet_s: float, deadline_s: float, *, tolerance: float = 0.0) -> Picture:
        """The picture once it has not changed for `quiet_s`.

        Up to `tolerance` of the pixels may differ: a text cursor blinks, a clock ticks.
        """
        until = time.monotonic() + deadline_s
        reference, since = self.picture(deadline_s), time.monotonic()
        while (now := time.monotonic()) < since + quiet_s:
            if now >= until:
                raise self._late(f"a picture that rests for {quiet_s:g} s", deadline_s)
            if self.next_update(min(since + quiet_s, until) - now) is None:
                continue
            if (picture := self.snapshot()).difference(reference) > tolerance:
                reference, since = picture, time.monotonic()
        return reference

    def resize(self, width: int, height: int, deadline_s: float = 10.0) -> None:
        """Ask the server for another screen size and wait for its verdict. Raises ResizeRefusedError."""
        until = time.monotonic() + deadline_s
        self.picture(deadline_s)
        if self._layout is None:
            raise ResizeRefusedError("this VNC server cannot resize its screen", where=self._wire.where)
        self._resize_status = None
        screen, flags = self._layout
        self._wire.send("BxHHBxIHHHHI", SET_DESKTOP_SIZE, width, height, 1, screen, 0, 0, width, height, flags)
        while self._resize_status is None:
            if self.next_update(until - time.monotonic()) is None:
                raise self._late("the answer to the resize", deadline_s)
        if self._resize_status:
            reason = RESIZE_FAULTS.get(self._resize_status, f"status {self._resize_status}")
            raise ResizeRefusedError(f"the VNC server keeps its size: {reason}", where=self._wire.where)

    def set_clipboard(self, text: str) -> None:
        """Offer text to the desktop. Unicode where the server knows how, else UnknownKeyError."""
        self._drain()
        self._clipboard.send(text)

    def wait_clipboard(
        self, deadline_s: float, predicate: Callable[[str], bool] = bool, *, what: str = "the clipboard's text"
    ) -> str:
        """The text that the desktop copies from now on, or has copied, once it satisfies `predicate`."""
        until = time.monotonic() + deadline_s
        while not (self._clipboard.serial and predicate(self._clipboard.text)):
            if not self._receive(until - time.monotonic()):
                raise self._late(what, deadline_s)
        return self._clipboard.text

    def _introduce(self, encodings: Sequence[int]) -> None:
        """32 bits, depth 24, little-endian, true colour: the bytes of a pixel are blue, green, red, unused."""
        self._wire.send("BxxxBBBBHHHBBBxxx", SET_PIXEL_FORMAT, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        asked = (*encodings, *PSEUDO_ENCODINGS)
        self._wire.send(f"BxH{len(asked)}i", SET_ENCODINGS, len(asked), *asked)

    def _request(self) -> None:
        if self._requested and not self._want_all:
            return
        incremental = int(not self._want_all)
        if self._want_all:
            self._uncovered = self._screen.width * self._screen.height
        self._wire.send("BBHHHH", UPDATE_REQUEST, incremental, 0, 0, *self.size)
        self._requested, self._want_all = True, False

    def _drain(self) -> None:
        """Read what has long arrived, so that what follows is new."""
        until = time.monotonic() + self._wire.timeout
        while time.monotonic() < until and self._wire.pending(0):
            self._receive_message()

    def _receive(self, seconds: float) -> bool:
        """Read one message; False when none begins within `seconds`."""
        if seconds <= 0 or not self._wire.pending(seconds):
            return False
        self._receive_message()
        return True

    def _receive_message(self) -> None:
        self._wire.begin("the rest of a message")
        try:
            self._dispatch(self._wire.u8())
        except ProtocolFaultError:
            # The stream is out of step: nothing that follows could be trusted.
            self.close()
            raise

    def _dispatch(self, kind: int) -> None:
        if kind == 0:
            self._receive_update()
        elif kind == 1:
            self._wire.skip(3)
            self._wire.skip(6 * self._wire.u16())
        elif kind == 2:
            self.bells += 1
        elif kind == 3:
            self._clipboard.receive()
        else:
            raise ProtocolFaultError(f"the server sends a message of unknown type {kind}", where=self._wire.where)

    def _receive_update(self) -> None:
        before = self._wire.taken() - 1
        self._wire.skip(1)
        painted = list(self._receive_rectangles(self._wire.u16()))
        pixels = sum(painted)
        self._uncovered = max(0, self._uncovered - pixels)
        self._requested = False
        self._serial += 1
        self._last = Update(
            seconds=time.monotonic() - self._started,
            bytes=self._wire.taken() - before,
            rectangles=len(painted),
            pixels=pixels,
        )

    def _receive_rectangles(self, count: int) -> Iterator[int]:
        """Read up to `count` rectangles, or up to the one that says it is the last; the pixels that each painted."""
        for _ in range(count):
            x, y, width, height = (self._wire.u16() for _ in range(4))
            encoding = self._wire.s32()
            if encoding == Encoding.LAST_RECTANGLE:
                return
            yield self._receive_rectangle(x, y, width, height, encoding)

    def _receive_rectangle(self, x: int, y: int, width: int, height: int, encoding: int) -> int:
        if encoding == Encoding.CURSOR:
            # Asked for so that the pointer is not part of the picture; its shape is of no use here.
            self._wire.skip(4 * width * height + (width + 7) // 8 * height)
        elif encoding == Encoding.DESKTOP_SIZE:
            self._adopt_size(width, height)
        elif encoding == Encoding.EXTENDED_DESKTOP_SIZE:
            self._receive_layout(x, y, width, height)
        else:
            self._decoder.paint(self._screen, encoding, x, y, width, height)
            return width * height
        return 0

    def _receive_layout(self, cause: int, status: int, width: int, height: int) -> None:
        """ExtendedDesktopSize: x tells who asked (1: this client), y the status, the body the monitors."""
        screens = self._wire.u8()
        self._wire.skip(3)
        layout = [self._wire.read(16) for _ in range(screens)]
        if cause == 1:
            self._resize_status = status
        if status == 0:
            first = layout[0] if layout else bytes(16)
            self._layout = int.from_bytes(first[:4], "big"), int.from_bytes(first[12:], "big")
            self._adopt_size(width, height)

    def _adopt_size(self, width: int, height: int) -> None:
        if (width, height) != self.size:
            self._screen = Framebuffer(width, height)
            self._want_all, self._uncovered = True, width * height

    def _late(self, what: str, deadline_s: float) -> VncTimeoutError:
        return VncTimeoutError(f"{what} did not come within {deadline_s:g} s", where=self._wire.where)


def connect(host: str, port: int, timeout: float = 10.0) -> Greeting:
    """Connect and read the greeting. `timeout` also bounds each later message.

    Raises NoVncServerError, TooManyFailuresError and LoginRefusedError (turned away before the login).
    """
    return greet(open_stream(host, port, timeout), timeout, where=f"{host}:{port}")


def greet(stream: Stream, timeout: float = 10.0, *, where: str = "VNC") -> Greeting:
    """The same over an open connection, such as a paramiko channel; it is closed on failure."""
    try:
        return Greeting(Wire(stream, where=where, timeout=timeout))
    except VncError:
        stream.close()
        raise


def security_types(host: str, port: int, timeout: float = 10.0) -> tuple[int, ...]:
    """What the server offers to anyone; empty when it turns this address away."""
    try:
        greeting = connect(host, port, timeout)
    except LoginRefusedError:
        return ()
    greeting.close()
    return greeting.security_types
