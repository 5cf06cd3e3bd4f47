"""When a desktop is painted, seen from outside over VNC: 99.8 % of the pixels are those of the final picture.

The same probe for every image. It reads raw pixels and keeps a copy of the screen at each update; what they mean is
worked out when the desktop rests, so that the looking takes little from what is looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from bench.recipe import VNC, Running
from builder.adapters.rfb import NoVncServerError, Picture, VncClient, VncError, VncTimeoutError
from builder.adapters.rfb.login import log_in, read_security_types, read_version
from builder.adapters.rfb.picture import BYTES, Framebuffer
from builder.adapters.rfb.wire import Wire, open_stream

TOLERANCE: Final = 0.002
COLOURS: Final = 64  # a picture with fewer is not a desktop yet
QUIET_S: Final = 3.0  # a naive start is quiet for two seconds in its middle
CONNECT_EVERY_S: Final = 0.01
MESSAGE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """Seconds since the create was asked for."""

    started: float  # the engine says that the container runs
    rfb: float  # the VNC server greets
    first: float  # more than one colour is seen
    painted: float
    frames: int

    def phases(self) -> dict[str, float]:
        return {
            "container runs": self.started,
            "VNC answers": self.rfb,
            "first picture": self.first,
            "painted": self.painted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """Part of the screen at one moment: every `stride`-th row."""

    at: float
    pixels: bytes
    width: int
    stride: int

    def picture(self) -> Picture:
        height = len(self.pixels) // (BYTES * self.width)
        frame = Framebuffer(self.width, height)
        frame.pixels[:] = self.pixels
        return frame.picture()


class Camera(VncClient):
    """A client that copies what it has seen without converting it, which costs a millisecond."""

    def still(self, stride: int = 1) -> Still:
        at = time.perf_counter()
        width, height = self.size
        pixels = self._screen.pixels
        row = BYTES * width
        if stride == 1:
            return Still(at=at, pixels=bytes(pixels), width=width, stride=1)
        rows = (pixels[row * line : row * (line + 1)] for line in range(0, height, stride))
        return Still(at=at, pixels=b"".join(rows), width=width, stride=stride)


def watch(container: Running, *, deadline_s: float = 60, pause_s: float = 0.0, stride: int = 1) -> Painted:
    """Look at a starting container until its desktop rests. `pause_s` and `stride` are for many at once."""
    until = time.perf_counter() + deadline_s
    camera, greeted = _open_camera(container, until)
    try:
        stills = _take_stills(camera, until, pause_s, stride)
    finally:
        camera.close()
    final = stills[-1].picture()
    painted = find_painted(stills, final)
    first = next(still.at for still in stills if not still.picture().is_one_colour())
    since = container.created
    return Painted(
        started=container.started - since,
        rfb=greeted - since,
        first=first - since,
        painted=painted - since,
        frames=len(stills),
    )


def _open_camera(container: Running, until: float) -> tuple[Camera, float]:
    """Knock until the server greets: the engine accepts connections for a container that does not listen yet."""
    port = container.ports[VNC]
    while True:
        try:
            wire = Wire(open_stream("127.0.0.1", port, MESSAGE_S), where=container.recipe.name, timeout=MESSAGE_S)
            version = read_version(wire)
            break
        except NoVncServerError:
            if time.perf_counter() > until:
                raise
            time.sleep(CONNECT_EVERY_S)
    greeted = time.perf_counter()
    try:
        log_in(wire, version, read_security_types(wire, version), container.recipe.password, None)
        return Camera(wire), greeted
    except VncError:
        wire.close()
        raise


def _take_stills(camera: Camera, until: float, pause_s: float, stride: int) -> list[Still]:
    """Until nothing of size has changed for a while on something that looks like a desktop."""
    stills: list[Still] = []
    width, height = camera.size
    moved = time.perf_counter()
    while not (time.perf_counter() - moved > QUIET_S and stills and stills[-1].picture().colours(COLOURS) >= COLOURS):
        if time.perf_counter() > until:
            raise VncTimeoutError("the desktop was not painted in time", where="bench")
        update = camera.next_update(QUIET_S / 4)
        if update is None:
            continue
        stills.append(camera.still(stride))
        if update.pixels > TOLERANCE * width * height:
            moved = stills[-1].at
        if pause_s:
            time.sleep(pause_s)
    return stills


def find_painted(stills: list[Still], final: Picture) -> float:
    """The first moment from which on the picture stays what it is at the end."""
    painted = stills[-1].at
    for still in reversed(stills):
        if still.picture().difference(final) > TOLERANCE:
            break
        painted = still.at
    return painted
