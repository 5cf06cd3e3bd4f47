"""Moments as files and people write them. Pure; the same on every Python, cheap to import: a query waits for it."""

from __future__ import annotations

import datetime
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# The years 1 to 9999 of UTC: what a datetime can say.
FIRST: Final = -62135596800
END: Final = 253402300800

# What Python takes only since 3.11: other fractions than of 3 or 6 digits, zones like +0000, dates without hyphens.
_LOOSE: Final = (
    r"(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)? *(?:([+-]\d\d)(?::?(\d\d))?)?)?"
)


def read_iso(text: str) -> datetime.datetime:
    """ISO 8601; naive without a zone. Digits after the sixth of a fraction are cut off. Raises ValueError."""
    text = text.replace("Z", "+00:00").strip()
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        found = re.fullmatch(_LOOSE, text, re.ASCII)
        if not found:
            raise
        year, month, day, hour, minute, second, fraction, zone, zone_minute = found.groups()
        # Ends with the zone, which may be missing; the rest has its width.
        clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}.{(fraction or '').ljust(6, '0')[:6]}"
        return datetime.datetime.fromisoformat(
            f"{year}-{month}-{day}T{clock}{f'{zone}:{zone_minute or 0:0>2}' if zone else ''}"
        )


def in_calendar(seconds: float) -> bool:
    """Whether a datetime can say this moment; False for what is not finite, too."""
    return FIRST <= seconds < END
