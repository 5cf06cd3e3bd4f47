"""Owns the encodings of rectangles: which to ask for, and Raw, CopyRect, Zlib, ZRLE and Tight into a Framebuffer.

Raw is the fastest over loopback, ZRLE (TigerVNC), Zlib (TightVNC) and Tight (both) spare the line of a remote engine.
The packed ones keep their zlib streams for the whole connection, hence the class.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import TYPE_CHECKING

from builder.adapters.rfb.faults import ProtocolFaultError
from builder.adapters.rfb.packed import read_packed, spell, widen
from builder.adapters.rfb.picture import BYTES, Framebuffer
from builder.adapters.rfb.tight import TightReader

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

TILE = 64


class Encoding(IntEnum):
    RAW = 0
    COPY_RECT = 1
    ZLIB = 6
    TIGHT = 7
    ZRLE = 16
    QUALITY = -32  # and up to 9 more: the level
    DESKTOP_SIZE = -223
    LAST_RECTANGLE = -224
    CURSOR = -239
    COMPRESSION = -256  # and up to 9 more: the level
    EXTENDED_DESKTOP_SIZE = -308
    EXTENDED_CLIPBOARD = -1063131698  # 0xC0A1E5CE


PLAIN = (Encoding.COPY_RECT, Encoding.RAW)
PACKED = (Encoding.COPY_RECT, Encoding.ZRLE, Encoding.ZLIB, Encoding.RAW)


def ask_tight(*, quality: int | None = None, compression: int | None = None) -> tuple[int, ...]:
    """Tight with levels from 0 to 9; without a quality nothing is lost, since the server may not send JPEG then."""
    levels = ((Encoding.QUALITY, quality), (Encoding.COMPRESSION, compression))
    asked = [encoding + level for encoding, level in levels if level is not None]
    # Only for a client that can do without a count does a server look for areas of one colour.
    return (Encoding.COPY_RECT, Encoding.TIGHT, Encoding.RAW, Encoding.LAST_RECTANGLE, *asked)


class Decoder:
    """Reads the body of one rectangle from the wire and paints it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._zlib = zlib.decompressobj()
        self._zrle = zlib.decompressobj()
        self._tight = TightReader(wire)

    def paint(self, screen: Framebuffer, encoding: int, x: int, y: int, width: int, height: int) -> None:
        """Raises ProtocolFaultError for an encoding that was not asked for or a broken body."""
        screen.check(x, y, width, height)
        size = BYTES * width * height
        if encoding == Encoding.RAW:
            screen.put(x, y, width, height, self._wire.read(size))
        elif encoding == Encoding.COPY_RECT:
            screen.copy(x, y, width, height, self._wire.u16(), self._wire.u16())
        elif encoding == Encoding.ZLIB:
            screen.put(x, y, width, height, self._inflate(self._zlib, size, exact=True))
        elif encoding == Encoding.TIGHT:
            screen.put(x, y, width, height, self._tight.read(width, height))
        elif encoding == Encoding.ZRLE:
            # A tile is never longer than its pixels plus a byte or, in run lengths, one byte a pixel more.
            self._paint_tiles(screen, x, y, width, height, self._inflate(self._zrle, 2 * size + TILE * TILE))
        else:
            raise ProtocolFaultError(f"the server uses the unknown encoding {encoding}", where=self._wire.where)

    def _inflate(self, stream: zlib._Decompress, most: int, *, exact: bool = False) -> bytes:
        return read_packed(self._wire, stream, self._wire.u32(), most, exact=exact)

    def _paint_tiles(self, screen: Framebuffer, x: int, y: int, width: int, height: int, data: bytes) -> None:
        tiles = _Tiles(data)
        try:
            for top in range(y, y + height, TILE):
                rows = min(TILE, y + height - top)
                for left in range(x, x + width, TILE):
                    columns = min(TILE, x + width - left)
                    screen.put(left, top, columns, rows, tiles.next_tile(columns, rows))
        except IndexError as error:
            raise ProtocolFaultError("a ZRLE rectangle ends too early", where=self._wire.where) from error


class _Tiles:
    """Cursor over inflated ZRLE data (RFC 6143, 7.7.6); IndexError where the data ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next_tile(self, columns: int, rows: int) -> bytes | bytearray:
        kind = self._byte()
        count = columns * rows
        if kind == 0:
            return widen(self._take(3 * count))
        if kind == 1:
            return self._colour() * count
        if kind <= 16:
            return self._packed(self._palette(kind), columns, rows)
        if kind == 128:
            return self._runs(count, None)
        if kind >= 130:
            return self._runs(count, self._palette(kind - 128))
        raise ProtocolFaultError(f"a ZRLE tile of the unknown kind {kind}")

    def _packed(self, palette: list[bytes], columns: int, rows: int) -> bytes:
        bits = 1 if len(palette) == 2 else 2 if len(palette) <= 4 else 4
        return spell(self._take((columns * bits + 7) // 8 * rows), palette, columns, bits)

    def _runs(self, count: int, palette: list[bytes] | None) -> bytes:
        parts: list[bytes] = []
        left = count
        while left > 0:
            if palette is None:
                colour, length = self._colour(), self._length()
            else:
                index = self._byte()
                colour, length = palette[index & 127], self._length() if index & 128 else 1
            parts.append(colour * min(length, left))
            left -= length
        return b"".join(parts)

    def _length(self) -> int:
        length = 1
        while True:
            byte = self._byte()
            length += byte
            if byte != 255:
                return length

    def _palette(self, count: int) -> list[bytes]:
        return [self._colour() for _ in range(count)]

    def _colour(self) -> bytes:
        return self._take(3) + b"\0"

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise IndexError("past the end of the tile data")
        part = self._data[self._at : end]
        self._at = end
        return part
