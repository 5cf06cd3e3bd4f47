"""Tight rectangles of every kind, made by hand: what the reader makes of them, and of broken ones."""

from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image

from builder.adapters.rfb import ProtocolFaultError
from builder.adapters.rfb.tight import TightReader
from builder.adapters.rfb.wire import Wire

R, G, B = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff"  # as Tight has them
RED, GREEN, BLUE = b"\0\0\xff\0", b"\0\xff\0\0", b"\xff\0\0\0"  # as the framebuffer has them


class Canned:
    """A connection that holds these bytes and no more."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def recv(self, size: int, /) -> bytes:
        return self._data.read(size)

    def sendall(self, data: bytes, /) -> None:
        raise AssertionError("a reader has nothing to say")

    def settimeout(self, seconds: float | None, /) -> None:
        pass

    def close(self) -> None:
        pass


def reader(data: bytes) -> tuple[TightReader, Wire]:
    wire = Wire(Canned(data), where="test", timeout=1)
    return TightReader(wire), wire


def read(data: bytes, width: int, height: int) -> bytes:
    """One rectangle, which has to use up all of `data`."""
    tight, wire = reader(data)
    pixels = tight.read(width, height)
    assert wire.taken() == len(data)
    return bytes(pixels)


def length(size: int) -> bytes:
    if size < 1 << 7:
        return bytes([size])
    if size < 1 << 14:
        return bytes([size & 127 | 128, size >> 7])
    return bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])


class Packer:
    """The server's end of one of the four streams."""

    def __init__(self, level: int = 6) -> None:
        self._stream = zlib.compressobj(level)

    def __call__(self, data: bytes) -> bytes:
        body = self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return length(len(body)) + body


def jpeg(width: int, height: int, colour: str = "black", *, cut: int = 0) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(held, "JPEG", quality=100, subsampling=0)
    body = held.getvalue()[: -cut or None]
    return length(len(body)) + body


def test_one_colour_fills_the_rectangle() -> None:
    assert read(b"\x80" + R, 3, 2) == RED * 6


def test_fewer_than_twelve_bytes_come_as_they_are() -> None:
    assert read(b"\x00" + R + G + B, 3, 1) == RED + GREEN + BLUE


def test_twelve_bytes_come_packed() -> None:
    assert read(b"\x00" + Packer()(R + G + B + R), 4, 1) == RED + GREEN + BLUE + RED


@pytest.mark.parametrize("count", [40, 2000, 30000], ids=["one byte", "two bytes", "three bytes"])
def test_a_length_of(count: int) -> None:
    pixels = bytes(range(256)) * (3 * count // 256 + 1)
    stored = Packer(level=0)(pixels[: 3 * count])
    found = read(b"\x00" + stored, count, 1)
    assert found[2::4] == pixels[0 : 3 * count : 3]
    assert found[1::4] == pixels[1 : 3 * count : 3]
    assert found[0::4] == pixels[2 : 3 * count : 3]


def test_the_copy_filter_may_be_named() -> None:
    assert read(b"\x40\x00" + Packer()(R * 4), 2, 2) == RED * 4


@pytest.mark.parametrize("width", [4, 9, 16])
def test_two_colours_are_a_bit_each_with_rows_padded_to_bytes(width: int) -> None:
    bits = [(column + row) % 3 == 0 for row in range(8) for column in range(width)]
    rows = [bits[start : start + width] for start in range(0, len(bits), width)]
    packed = b"".join(
        int("".join("01"[bit] for bit in row).ljust(-(-width // 8) * 8, "1"), 2).to_bytes(-(-width // 8), "big")
        for row in rows
    )
    body = packed if len(packed) < 12 else Packer()(packed)
    assert read(b"\x40\x01\x01" + R + B + body, width, 8) == b"".join((RED, BLUE)[bit] for bit in bits)


def test_more_colours_are_a_byte_each() -> None:
    assert read(b"\x40\x01\x02" + R + G + B + b"\x00\x02\x01\x01", 2, 2) == RED + BLUE + GREEN + GREEN


def test_a_palette_may_hold_256_colours() -> None:
    palette = b"".join(bytes((number, 0, 255 - number)) for number in range(256))
    pixels = b"".join(bytes((255 - number, 0, number, 0)) for number in range(256))
    assert read(b"\x40\x01\xff" + palette + Packer()(bytes(range(256))), 16, 16) == pixels


def test_the_gradient_filter_tells_the_difference_from_what_the_neighbours_suggest() -> None:
    first = bytes((10, 20, 30)) + bytes((5, 0, 250))
    # 2nd row: expected is what is above; then left + above - upper left, held within 0 and 255.
    second = bytes((1, 2, 3)) + bytes((4, 5, 6))
    assert read(b"\x40\x02" + Packer()(first + second), 2, 2) == bytes(
        [*(30, 20, 10, 0), *(24, 20, 15, 0), *(33, 22, 11, 0), *(33, 27, 20, 0)]
    )


@pytest.mark.parametrize(("above", "left", "expected"), [(255, 255, 255), (0, 0, 0)])
def test_a_gradient_expects_nothing_outside_of_a_byte(above: int, left: int, expected: int) -> None:
    """The pixel at the lower right, whose neighbours lie on a steep slope."""
    corner = 255 - expected
    rows = [[corner, above - corner], [left - corner, 7]]
    data = bytes(value & 255 for row in rows for value in row for _ in range(3))
    assert read(b"\x40\x02" + Packer()(data), 2, 2)[-4:-1] == bytes([expected + 7 & 255] * 3)


def test_a_jpeg_is_painted_with_its_colours_in_order() -> None:
    pixels = read(b"\x90" + jpeg(16, 8, "orange"), 16, 8)
    assert len(pixels) == 4 * 16 * 8
    assert all(abs(found - meant) <= 2 for found, meant in zip(pixels[:3], (0, 165, 255), strict=True))


def test_a_grey_jpeg_is_painted_too() -> None:
    held = io.BytesIO()
    Image.new("L", (16, 8), 200).save(held, "JPEG")
    assert read(b"\x90" + length(len(held.getvalue())) + held.getvalue(), 16, 8)[:3] == bytes([200] * 3)


def test_each_stream_keeps_its_memory_until_it_is_reset() -> None:
    one, two, anew = Packer(), Packer(), Packer()
    pixels = (R * 4, G * 4, B * 4, R * 4)
    bodies = (b"\x00" + one(pixels[0]), b"\x30" + two(pixels[1]), b"\x00" + one(pixels[2]), b"\x01" + anew(pixels[3]))
    tight, _ = reader(b"".join(bodies))
    assert [bytes(tight.read(4, 1)) for _ in bodies] == [RED * 4, GREEN * 4, BLUE * 4, RED * 4]


def test_a_reset_may_come_with_a_fill() -> None:
    first, second = Packer(), Packer()
    tight, _ = reader(b"\x20" + first(R * 4) + b"\x84" + G + b"\x20" + second(B * 4))
    assert [bytes(tight.read(4, 1)) for _ in range(3)] == [RED * 4, GREEN * 4, BLUE * 4]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xa0", "unknown kind 10"),
        (b"\xf0", "unknown kind 15"),
        (b"\x40\x03", "unknown filter 3"),
        (b"\x40\x01\x00" + R, "palette of one colour"),
        (b"\x40\x01\x02" + R + G + B + Packer()(b"\x03" * 32), "colours that its palette lacks"),
        (b"\x00" + b"\x03abc", "damaged"),
        (b"\x00" + Packer()(R * 31), "do not fill"),
        (b"\x00" + Packer()(R * 33), "do not fill"),
        (b"\x40\x02" + Packer()(R), "do not fill"),
        (b"\x90\x03abc", "broken JPEG"),
        (b"\x90" + jpeg(8, 4, cut=40), "broken JPEG"),
        (b"\x90" + jpeg(9, 4), "8 x 4 holds a JPEG of 9 x 4"),
    ],
)
def test_a_broken_body_is_a_fault(data: bytes, told: str) -> None:
    with pytest.raises(ProtocolFaultError, match=told):
        read(data, 8, 4)
