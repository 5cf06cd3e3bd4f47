"""Runs inside a container: a window over the whole screen, drawn by the bare X protocol.

    painter.py DISPLAY colours    another colour a hundred times a second
    painter.py DISPLAY keys       another colour of a part of it at each key, at once

Standard library only, and nothing that Python 3.9 does not have.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

CREATE_WINDOW, CHANGE_ATTRIBUTES, MAP_WINDOW, SET_FOCUS, GET_FOCUS, CLEAR = 1, 2, 8, 42, 43, 61
BACK_PIXEL, OVERRIDE_REDIRECT, EVENT_MASK = 1 << 1, 1 << 9, 1 << 11
KEY_PRESS, KEY_PRESS_MASK = 2, 1
PAUSE_S = 0.01
PART = (400, 300)


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
        self.window = identifier + 1
        mask, values = BACK_PIXEL | OVERRIDE_REDIRECT | EVENT_MASK, (0, 1, KEY_PRESS_MASK)
        width, height = size or whole
        self.send(
            CREATE_WINDOW, 0, "IIhhHHHHIIIII", self.window, self.root, 0, 0, width, height, 0, 1, 0, mask, *values
        )
        self.send(MAP_WINDOW, 0, "I", self.window)

    def paint(self, colour: int) -> None:
        self.send(CHANGE_ATTRIBUTES, 0, "III", self.window, BACK_PIXEL, colour)
        self.send(CLEAR, 0, "IhhHH", self.window, 0, 0, 0, 0)

    def send(self, code: int, detail: int, layout: str, *values: int) -> None:
        body = struct.pack("<" + layout, *values)
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


def main() -> None:
    display, mode = sys.argv[1:]
    colours = [0xD04040, 0x40D040, 0x4040D0, 0xD0D040]
    screen = Screen(display, PART if mode == "keys" else None)
    turn = 0
    if mode == "keys":
        screen.send(SET_FOCUS, 1, "II", screen.window, 0)
    while True:
        turn += 1
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
