"""Owns what packed encodings share: inflating under a bound, and the ways from fewer bits to four bytes a pixel."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.adapters.rfb.faults import ProtocolFaultError
from builder.adapters.rfb.picture import BYTES

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

MAX_PACKED = 1 << 28


def read_packed(wire: Wire, stream: zlib._Decompress, packed: int, most: int, *, exact: bool = False) -> bytes:
    """At most (or just) `most` bytes out of the next `packed` ones of the wire. Raises ProtocolFaultError."""
    if packed > MAX_PACKED:
        raise ProtocolFaultError(f"a rectangle of {packed} packed bytes", where=wire.where)
    try:
        # `most + 1`: a stream that could give more than the rectangle holds shows itself.
        data = stream.decompress(wire.read(packed), most + 1)
    except zlib.error as error:
        raise ProtocolFaultError(f"packed pixels are damaged: {error}", where=wire.where) from error
    if len(data) > most or (exact and len(data) != most):
        raise ProtocolFaultError("packed pixels do not fill their rectangle", where=wire.where)
    return data


def widen(pixels: bytes | bytearray, *, red_first: bool = False) -> bytearray:
    """Three bytes a pixel to the four of the framebuffer, whose order is blue, green, red."""
    wide = bytearray(BYTES * (len(pixels) // 3))
    for channel in range(3):
        wide[2 - channel if red_first else channel :: BYTES] = pixels[channel::3]
    return wide


def spell(packed: bytes, palette: Sequence[bytes], columns: int, bits: int) -> bytes:
    """Rows of colour numbers of 1, 2 or 4 bits, each row padded to a byte, to pixels."""
    shifts = range(8 - bits, -1, -bits)
    mask = (1 << bits) - 1
    # Padding bits may name colours that the palette lacks.
    palette = [*palette, *[bytes(BYTES)] * ((1 << bits) - len(palette))]
    stride = (columns * bits + 7) // 8
    spelled = {byte: b"".join(palette[byte >> shift & mask] for shift in shifts) for byte in set(packed)}
    lines = (packed[start : start + stride] for start in range(0, len(packed), stride))
    return b"".join(b"".join(map(spelled.__getitem__, line))[: BYTES * columns] for line in lines)
