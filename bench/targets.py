"""The bars of the figures, as data in one place. They are said to be met or not; nothing fails by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """At most `value` in the figure's unit, and at most `ratio` of the baseline of the same run, or at least `floor` of
    it where more is better; None: no such bar."""

    value: float | None = None
    ratio: float | None = None
    floor: float | None = None


NO_BAR: Final = Bar()
BARS: Final[Mapping[str, Bar]] = {
    "start-warm": Bar(ratio=0.36),
    "start-cold": Bar(ratio=0.40),
    "memory": Bar(ratio=0.75),
    "cpu": Bar(ratio=0.45),
    "size": Bar(ratio=0.38),
    "size-packed": Bar(ratio=0.30),
    "cold": Bar(ratio=0.45),
    "rebuild": Bar(value=15),
    "rebuild-apt-steps": Bar(value=0),
    "rebuild-cached": Bar(ratio=0.6),
    "noop": Bar(value=0.25, ratio=0.4),
    "noop-compose-2": Bar(value=0.25, ratio=0.4),
    "up-painted": Bar(value=1.6),
    "status": Bar(value=0.2),
    "help": Bar(value=0.2),
    "verify": Bar(value=10),
    "crowd": Bar(value=15),
    **dict.fromkeys(("tunnel-fetch", "tunnel-send"), Bar(floor=0.8)),
    **{
        f"tunnel-{case}-{mode}": Bar(floor=0.8) for case in ("raw", "page") for mode in ("colours", "terminal", "photo")
    },
}
