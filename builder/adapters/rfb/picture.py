"""Owns pixels: the client's copy of the screen (Framebuffer) and a picture taken of it (Picture).

No network here. Pillow is needed, and imported, only to write a PNG.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.adapters.rfb.faults import ProtocolFaultError

BYTES = 4
MAX_PIXELS = 1 << 26  # 8192 x 8192: 256 MB; more is a lying server


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A still of the screen: `rgb` holds 3 bytes a pixel, row by row from the top left."""

    width: int
    height: int
    rgb: bytes

    def save_png(self, path: Path) -> None:
        from PIL import Image

        Image.frombytes("RGB", (self.width, self.height), self.rgb).save(path, "PNG")

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        start = 3 * (y * self.width + x)
        red, green, blue = self.rgb[start : start + 3]
        return red, green, blue

    def is_one_colour(self) -> bool:
        return self.rgb == self.rgb[:3] * (self.width * self.height)

    def colours(self, limit: int) -> int:
        """How many colours there are; counting ends at `limit`, which then is the answer."""
        wide = bytearray(BYTES * self.width * self.height)
        for channel in range(3):
            wide[channel::BYTES] = self.rgb[channel::3]
        seen: set[int] = set()
        with memoryview(wide) as raw, raw.cast("I") as pixels:
            for start in range(0, len(pixels), 1 << 16):
                seen.update(pixels[start : start + (1 << 16)])
                if len(seen) >= limit:
                    return limit
        return len(seen)

    def difference(self, other: Picture) -> float:
        """Share of the pixels that differ, 0 to 1; pictures of unequal size differ wholly."""
        if (self.width, self.height) != (other.width, other.height):
            return 1.0
        if self.rgb == other.rgb:
            return 0.0
        # Whole-picture integer arithmetic: the only fast way without a numeric package.
        size = len(self.rgb)
        changed = (_number(self.rgb) ^ _number(other.rgb)).to_bytes(size, "little")
        merged = _number(changed[0::3]) | _number(changed[1::3]) | _number(changed[2::3])
        same = merged.to_bytes(size // 3, "little").count(0)
        return 1.0 - same / (size // 3)


class Framebuffer:
    """The screen as the server told it, 4 bytes a pixel: blue, green, red, undefined."""

    def __init__(self, width: int, height: int) -> None:
        if not 0 < width * height <= MAX_PIXELS:
            raise ProtocolFaultError(f"the server announces a screen of {width} x {height} pixels")
        self.width = width
        self.height = height
        self.pixels = bytearray(BYTES * width * height)

    def check(self, x: int, y: int, width: int, height: int) -> None:
        if x + width > self.width or y + height > self.height:
            raise ProtocolFaultError(
                f"a rectangle of {width} x {height} at {x},{y} lies outside the screen of {self.width} x {self.height}"
            )

    def put(self, x: int, y: int, width: int, height: int, data: bytes | bytearray) -> None:
        """Write `width * height * 4` bytes of rows at x, y. Raises ProtocolFaultError outside the screen."""
        self.check(x, y, width, height)
        if width == self.width:
            start = BYTES * y * self.width
            self.pixels[start : start + len(data)] = data
            return
        row = BYTES * width
        with memoryview(data) as rows:
            for line in range(height):
                start = BYTES * ((y + line) * self.width + x)
                self.pixels[start : start + row] = rows[line * row : line * row + row]

    def copy(self, x: int, y: int, width: int, height: int, from_x: int, from_y: int) -> None:
        """Source and target may overlap: the source is read as a whole first."""
        self.check(from_x, from_y, width, height)
        row = BYTES * width
        starts = (BYTES * ((from_y + line) * self.width + from_x) for line in range(height))
        self.put(x, y, width, height, b"".join(self.pixels[start : start + row] for start in starts))

    def picture(self) -> Picture:
        rgb = bytearray(3 * self.width * self.height)
        for channel in range(3):
            rgb[channel::3] = self.pixels[2 - channel :: BYTES]
        return Picture(width=self.width, height=self.height, rgb=bytes(rgb))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
