"""Owns the names of keys: characters, names and chords to X keysyms (X11's keysymdef.h). Sends nothing."""

from __future__ import annotations

from builder.adapters.rfb.faults import UnknownKeyError

UNICODE = 0x01000000

CONTROL_CHARACTERS = {"\n": 0xFF0D, "\r": 0xFF0D, "\t": 0xFF09, "\b": 0xFF08, "\x1b": 0xFF1B, "\x7f": 0xFFFF}

NAMES = {
    "backspace": 0xFF08,
    "tab": 0xFF09,
    "return": 0xFF0D,
    "enter": 0xFF0D,
    "pause": 0xFF13,
    "scroll_lock": 0xFF14,
    "escape": 0xFF1B,
    "esc": 0xFF1B,
    "home": 0xFF50,
    "left": 0xFF51,
    "up": 0xFF52,
    "right": 0xFF53,
    "down": 0xFF54,
    "page_up": 0xFF55,
    "page_down": 0xFF56,
    "end": 0xFF57,
    "print": 0xFF61,
    "insert": 0xFF63,
    "menu": 0xFF67,
    "num_lock": 0xFF7F,
    "shift": 0xFFE1,
    "shift_r": 0xFFE2,
    "ctrl": 0xFFE3,
    "control": 0xFFE3,
    "ctrl_r": 0xFFE4,
    "caps_lock": 0xFFE5,
    "meta": 0xFFE7,
    "alt": 0xFFE9,
    "alt_r": 0xFFEA,
    "altgr": 0xFE03,
    "super": 0xFFEB,
    "win": 0xFFEB,
    "delete": 0xFFFF,
    "del": 0xFFFF,
    "space": 0x20,
    "plus": 0x2B,
    **{f"f{number}": 0xFFBD + number for number in range(1, 13)},
}


def keysym_of_character(character: str) -> int:
    """Latin-1 characters are their own keysym; all others are 0x01000000 + code point."""
    if character in CONTROL_CHARACTERS:
        return CONTROL_CHARACTERS[character]
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0:
        raise UnknownKeyError(f"no key types the control character {character!r}")
    return code if code < 0x100 else UNICODE + code


def keysym_of(key: int | str) -> int:
    """A keysym as it is, a single character, or a name of the table in any case."""
    if isinstance(key, int):
        return key
    if len(key) == 1:
        return keysym_of_character(key)
    if key.lower() in NAMES:
        return NAMES[key.lower()]
    raise UnknownKeyError(f"no key is called {key!r}", hint="known names: " + ", ".join(sorted(NAMES)))


def parse_chord(chord: str) -> tuple[int, ...]:
    """`ctrl+alt+t` to keysyms in pressing order; a plus sign itself is `plus` (`ctrl+plus`)."""
    if chord == "+":
        return (ord("+"),)
    return tuple(keysym_of(part) for part in chord.split("+") if part) or (keysym_of(chord),)
