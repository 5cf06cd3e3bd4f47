"""Owns the Tight encoding: the body of one rectangle, from the wire to four bytes a pixel.

After the community's text of the protocol (rfbproto, "Tight Encoding"; no RFC has it). Both servers speak it, and
noVNC asks for it first. Its pixels are red, green, blue: the other way round than those of ZRLE. Pillow is needed, and
imported, only where the server sends JPEG, which it may do only for a client that named a quality.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

from builder.adapters.rfb.faults import ProtocolFaultError
from builder.adapters.rfb.packed import read_packed, spell, widen
from builder.adapters.rfb.picture import BYTES

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

STREAMS = 4
FILL, JPEG = 8, 9  # the upper half of the control byte; below 8: 4 for a filter, and the number of a stream
FILTERED = 4
COPY, PALETTE, GRADIENT = 0, 1, 2
LEAST_PACKED = 12  # bytes; fewer come as they are, without a length


class TightReader:
    """Keeps the four zlib streams of a connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._streams = [zlib.decompressobj() for _ in range(STREAMS)]

    def read(self, width: int, height: int) -> bytes | bytearray:
        """The pixels of a rectangle. Raises ProtocolFaultError."""
        control = self._wire.u8()
        for number in range(STREAMS):
            if control >> number & 1:
                self._streams[number] = zlib.decompressobj()
        kind = control >> 4
        if kind == FILL:
            return widen(self._wire.read(3), red_first=True) * (width * height)
        if kind == JPEG:
            return self._jpeg(width, height)
        if kind > JPEG:
            raise self._fault(f"is of the unknown kind {kind}")
        return self._basic(self._streams[kind & 3], self._wire.u8() if kind & FILTERED else COPY, width, height)

    def _basic(self, stream: zlib._Decompress, how: int, width: int, height: int) -> bytes | bytearray:
        if how == COPY:
            return widen(self._pixels(stream, 3 * width * height), red_first=True)
        if how == PALETTE:
            return self._palette(stream, width, height)
        if how == GRADIENT:
            pixels = _undo_gradient(self._pixels(stream, 3 * width * height), 3 * width)
            return widen(pixels, red_first=True)
        raise self._fault(f"went through the unknown filter {how}")

    def _palette(self, stream: zlib._Decompress, width: int, height: int) -> bytes | bytearray:
        count = self._wire.u8() + 1
        colours = widen(self._wire.read(3 * count), red_first=True)
        if count < 2:
            raise self._fault("has a palette of one colour")
        if count == 2:
            packed = self._pixels(stream, (width + 7) // 8 * height)
            return spell(packed, [bytes(colours[:BYTES]), bytes(colours[BYTES:])], width, bits=1)
        numbers = self._pixels(stream, width * height)
        if numbers.translate(None, delete=bytes(range(count))):
            raise self._fault("names colours that its palette lacks")
        wide = bytearray(BYTES * len(numbers))
        for channel in range(3):
            wide[channel::BYTES] = numbers.translate(colours[channel::BYTES].ljust(256, b"\0"))
        return wide

    def _pixels(self, stream: zlib._Decompress, size: int) -> bytes:
        if size < LEAST_PACKED:
            return self._wire.read(size)
        return read_packed(self._wire, stream, self._length(), size, exact=True)

    def _jpeg(self, width: int, height: int) -> bytes:
        from PIL import Image

        body = self._wire.read(self._length())
        try:
            with Image.open(io.BytesIO(body), formats=("JPEG",)) as image:
                if image.size != (width, height):  # before a pixel is unpacked
                    raise self._fault(f"of {width} x {height} holds a JPEG of {image.width} x {image.height}")
                pixels: bytes = image.convert("RGB").tobytes("raw", "BGRX")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise self._fault(f"holds a broken JPEG: {error}") from error
        return pixels

    def _length(self) -> int:
        """One to three bytes, seven bits in each of the first two, the lowest first."""
        length = 0
        for shift in (0, 7):
            byte = self._wire.u8()
            length |= (byte & 127) << shift
            if byte < 128:
                return length
        return length | self._wire.u8() << 14

    def _fault(self, what: str) -> ProtocolFaultError:
        return ProtocolFaultError(f"a Tight rectangle {what}", where=self._wire.where)


def _undo_gradient(data: bytes, stride: int) -> bytearray:
    """Each byte tells by how much its colour differs from what its neighbours (left, above) let one expect."""
    pixels = bytearray()
    above = bytearray(3 + stride)  # each row with a black pixel before it
    for start in range(0, len(data), stride):
        row = bytearray(3)
        for at, byte in enumerate(data[start : start + stride]):
            expected = row[at] + above[at + 3] - above[at]
            row.append(byte + min(max(expected, 0), 255) & 255)
        pixels += row[3:]
        above = row
    return pixels
