"""Runs inside a container: a window over the whole screen, drawn by the bare X protocol.

    painter.py DISPLAY colours    another colour a hundred times a second
    painter.py DISPLAY photo      the same with a photograph's shades and noise, moved
    painter.py DISPLAY keys       another colour of a part of it at each key, at once

Standard library only, and nothing that Python 3.9 does not have.
"""

from __future__ import annotations

import math
import random
import socket
import struct
import sys
import time

CREATE_WINDOW, CHANGE_ATTRIBUTES, MAP_WINDOW, SET_FOCUS, GET_FOCUS, CLEAR = 1, 2, 8, 42, 43, 61
CREATE_PIXMAP, CREATE_CONTEXT, CHANGE_CONTEXT, FILL, PUT_IMAGE = 53, 55, 56, 70, 72
FILL_STYLE, TILE, TILE_X, TILE_Y, TILED = 1 << 8, 1 << 10, 1 << 12, 1 << 13, 1
BACK_PIXEL, OVERRIDE_REDIRECT, EVENT_MASK = 1 << 1, 1 << 9, 1 << 11
KEY_PRESS, KEY_PRESS_MASK = 2, 1
PAUSE_S = 0.01
PART = (400, 300)
PHOTO = (2048, 96)  # repeated down the screen, so far apart that no packer looks back to it
STRIP = 16  # rows of it in one request
GRAIN = 5.0


class Screen:
    """One connection to an X server that asks for no cookie, and one window."""

    def __init__(self, display: str, size: tuple[int, int] | None) -> None:
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(f"/tmp/.X11-unix/X{display}")  # noqa: S108 (where X has it)
        self.line.sendall(struct.pack("<BxHHHH2x", ord("l"), 11, 0, 0, 0))
        head = self.take(8)
        body = self.take(4 * struct.unpack("<H", head[6:8])[0])
        if head[0] != 1:
            raise SystemExit(f"the X server refuses: {body!r}")
        identifier, vendor, formats = struct.unpack("<I", body[4:8])[0], struct.unpack("<H", body[16:18])[0], body[21]
        root = 32 + (vendor + 3) // 4 * 4 + 8 * formats
        self.root = struct.unpack("<I", body[root : root + 4])[0]
        whole = struct.unpack("<HH", body[root + 20 : root + 24])
        self.depth = body[root + 38]
        self.window, self.pixmap, self.context = identifier + 1, identifier + 2, identifier + 3
        mask, values = BACK_PIXEL | OVERRIDE_REDIRECT | EVENT_MASK, (0, 1, KEY_PRESS_MASK)
        width, height = self.size = size or whole
        self.send(
            CREATE_WINDOW, 0, "IIhhHHHHIIIII", self.window, self.root, 0, 0, width, height, 0, 1, 0, mask, *values
        )
        self.send(MAP_WINDOW, 0, "I", self.window)

    def paint(self, colour: int) -> None:
        self.send(CHANGE_ATTRIBUTES, 0, "III", self.window, BACK_PIXEL, colour)
        self.send(CLEAR, 0, "IhhHH", self.window, 0, 0, 0, 0)

    def load_photo(self) -> None:
        width, height = PHOTO
        self.send(CREATE_PIXMAP, self.depth, "IIHH", self.pixmap, self.root, width, height)
        self.send(CREATE_CONTEXT, 0, "III", self.context, self.window, 0)
        for row in range(0, height, STRIP):
            layout, tail = "IIHHhhBBxx", make_photo(width, range(row, row + STRIP))
            self.send(PUT_IMAGE, 2, layout, self.pixmap, self.context, width, STRIP, 0, row, 0, self.depth, tail=tail)
        self.send(CHANGE_CONTEXT, 0, "IIII", self.context, FILL_STYLE | TILE, TILED, self.pixmap)

    def paint_photo(self, x: int, y: int) -> None:
        self.send(CHANGE_CONTEXT, 0, "IIii", self.context, TILE_X | TILE_Y, x, y)
        self.send(FILL, 0, "IIhhHH", self.window, self.context, 0, 0, *self.size)

    def send(self, code: int, detail: int, layout: str, *values: int, tail: bytes = b"") -> None:
        body = struct.pack("<" + layout, *values) + tail
        self.line.sendall(struct.pack("<BBH", code, detail, 1 + len(body) // 4) + body)

    def next_message(self) -> bytes:
        """Replies, events and errors are of 32 bytes here."""
        return self.take(32)

    def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.line.recv(count - len(data))
            if not part:
                raise SystemExit(0)  # the server is gone, and with it our work
            data += part
        return data


def make_photo(width: int, rows: range) -> bytes:
    """Soft shades under the grain of a camera: what JPEG is made for, and what packs badly without loss."""
    grain = random.Random(1)  # noqa: S311 (no secret, and the same at each run)
    pixels = bytearray()
    for y in rows:
        for x in range(width):
            light = 120 + 60 * math.sin(x / 170 + y / 60) + 40 * math.sin(x / 37 - y / 23)
            colour = (light + grain.gauss(0, GRAIN) + shade for shade in (-20, 0, 20))
            pixels += bytes((*(min(max(int(part), 0), 255) for part in colour), 0))
    return bytes(pixels)


def main() -> None:
    display, mode = sys.argv[1:]
    colours = [0xD04040, 0x40D040, 0x4040D0, 0xD0D040]
    screen = Screen(display, PART if mode == "keys" else None)
    turn = 0
    if mode == "keys":
        screen.send(SET_FOCUS, 1, "II", screen.window, 0)
    if mode == "photo":
        screen.load_photo()
    while True:
        turn += 1
        if mode == "photo":
            screen.paint_photo(7 * turn % PHOTO[0], 3 * turn % PHOTO[1])
        else:
            screen.paint(colours[turn % 4])
        if mode == "keys":
            while screen.next_message()[0] & 0x7F != KEY_PRESS:
                continue
        else:
            screen.send(GET_FOCUS, 0, "")  # its answer says that the server has done all before it
            screen.next_message()
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
