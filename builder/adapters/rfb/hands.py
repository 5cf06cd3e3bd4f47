"""Owns input: key and pointer events (RFC 6143, 7.5.4 and 7.5.5). It waits for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.adapters.rfb.keys import keysym_of, keysym_of_character, parse_chord

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

KEY_EVENT = 4
POINTER_EVENT = 5
DRAG_STEPS = 8


class Hands:
    """Keyboard and mouse. Buttons: 1 left, 2 middle, 3 right, 4 and 5 the wheel up and down."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def key(self, key: int | str, *, down: bool) -> None:
        self._wire.send("BBxxI", KEY_EVENT, int(down), keysym_of(key))

    def press(self, chord: str) -> None:
        """Press the keys of `ctrl+alt+t` in order and release them in reverse."""
        keysyms = parse_chord(chord)
        for keysym in keysyms:
            self.key(keysym, down=True)
        for keysym in reversed(keysyms):
            self.key(keysym, down=False)

    def type_text(self, text: str) -> None:
        """Type any text; newline is Return and tab is Tab. Raises UnknownKeyError before the first key."""
        for keysym in [keysym_of_character(character) for character in text]:
            self.key(keysym, down=True)
            self.key(keysym, down=False)

    def move(self, x: int, y: int) -> None:
        self._point(x, y, 0)

    def click(self, x: int, y: int, *, button: int = 1, times: int = 1) -> None:
        self._point(x, y, 0)
        for _ in range(times):
            self._point(x, y, 1 << button - 1)
            self._point(x, y, 0)

    def drag(self, start: tuple[int, int], end: tuple[int, int], *, button: int = 1) -> None:
        """Press at `start`, move in small steps (toolkits ignore a leap), release at `end`."""
        self._point(*start, 0)
        for step in range(DRAG_STEPS + 1):
            x = start[0] + (end[0] - start[0]) * step // DRAG_STEPS
            y = start[1] + (end[1] - start[1]) * step // DRAG_STEPS
            self._point(x, y, 1 << button - 1)
        self._point(*end, 0)

    def _point(self, x: int, y: int, buttons: int) -> None:
        self._wire.send("BBHH", POINTER_EVENT, buttons, x, y)
