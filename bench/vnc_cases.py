"""The cases of bench/vnc.py: which server, with which arguments, seen how. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from builder.adapters.rfb import PACKED, PLAIN, ask_tight

TIGER: Final = ("Xtigervnc", "-SecurityTypes", "None", "-AlwaysShared", "-UseBlacklist=0", "-extension", "GLX")
TIGHT_BARE: Final = ("Xtightvnc", "-alwaysshared")
TIGHT: Final = (*TIGHT_BARE, "-deferupdate", "1")  # as services/xvnc/run has it
PAGE: Final = ask_tight(quality=6, compression=1)  # as viewer.js has it
NOVNC: Final = ask_tight(quality=6, compression=2)  # noVNC, when nobody tells it otherwise
FINE: Final = ask_tight(quality=9, compression=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to see a desktop."""

    words: str
    command: tuple[str, ...]
    encodings: Sequence[int] = PLAIN
    web: bool = False  # through the web page's bridge
    usual: bool = False  # what people have who change nothing


def _lossless(name: str, command: tuple[str, ...], levels: Sequence[int]) -> list[Case]:
    return [
        Case(
            words=f"{name}, Tight without loss, compression {level}",
            command=command,
            encodings=ask_tight(compression=level),
        )
        for level in levels
    ]


RAW_CASE: Final = Case(words="TigerVNC, raw", command=TIGER, usual=True)
PAGE_CASE: Final = Case(
    words="TigerVNC by the web page, Tight with JPEG 6, compression 1",
    command=TIGER, web=True, encodings=PAGE, usual=True,
)  # fmt: skip
TIGER_CASES: Final = (
    RAW_CASE,
    Case(words="TigerVNC, raw, -CompareFB=0", command=(*TIGER, "-CompareFB=0")),
    Case(words="TigerVNC, raw, -FrameRate=30", command=(*TIGER, "-FrameRate=30")),
    Case(words="TigerVNC, raw, -FrameRate=120", command=(*TIGER, "-FrameRate=120")),
    Case(words="TigerVNC, ZRLE", command=TIGER, encodings=PACKED),
    Case(words="TigerVNC, Tight with JPEG 6, compression 1", command=TIGER, encodings=PAGE),
    Case(words="TigerVNC, Tight with JPEG 6, compression 2", command=TIGER, encodings=NOVNC),
    Case(words="TigerVNC, Tight with JPEG 9, compression 2", command=TIGER, encodings=FINE),
    *_lossless("TigerVNC", TIGER, (0, 1, 2, 6)),
    PAGE_CASE,
)
TIGHT_CASES: Final = (
    Case(words="TightVNC, raw", command=TIGHT, usual=True),
    Case(words="TightVNC, raw, its own deferral", command=TIGHT_BARE),
    Case(words="TightVNC, Zlib", command=TIGHT, encodings=PACKED),
    Case(words="TightVNC, Tight with JPEG 6, compression 1", command=TIGHT, encodings=PAGE),
    Case(words="TightVNC, Tight with JPEG 6, compression 2", command=TIGHT, encodings=NOVNC),
    Case(words="TightVNC, Tight with JPEG 9, compression 2", command=TIGHT, encodings=FINE),
    *_lossless("TightVNC", TIGHT, (0, 1, 2, 6)),
    Case(
        words="TightVNC by the web page, Tight with JPEG 6, compression 1",
        command=TIGHT, web=True, encodings=PAGE, usual=True,
    ),
)  # fmt: skip
