"""Lengths of time as people write and read them: `90`, `1.5s`, `2m`, `1h30m`."""

from __future__ import annotations

import math
import re
from typing import Final

UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds, more than zero. Raises ValueError."""
    compact = text.replace(" ", "").lower()
    seconds = _sum_parts(compact) if PART.match(compact) else float(compact)
    if not 0 < seconds < math.inf:
        raise ValueError(f"not a length of time: {text}")
    return seconds


def _sum_parts(text: str) -> float:
    parts = PART.findall(text)
    if "".join(map("".join, parts)) != text:
        raise ValueError(f"not a length of time: {text}")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def show_duration(seconds: float) -> str:
    """Short: `0.42 s`, `9.1 s`, `42 s`, `2 m 05 s`, `1 h 02 m`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"
