"""Images as engines save them: both layouts, compressed or not, and what cannot be one is refused with the reason."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from builder.adapters.savedimage import DamagedImage, read_image_file, read_saved
from builder.errors import HostError
from tests.unit.core.saved_images import digest, file, folder, make_config, make_layer, make_tar, save

Pack = Callable[[bytes], bytes]
LAYERS = [make_layer([folder("etc/"), file("etc/a")]), make_layer([file("etc/b")]), make_layer([file("etc/b")])]


def read(data: bytes) -> object:
    return read_saved(io.BytesIO(data), lambda path: False)


@pytest.mark.parametrize("pack", [None, gzip.compress, zstandard.compress], ids=["docker", "oci, gzip", "oci, zstd"])
def test_layers_come_in_the_order_of_the_image_with_the_digests_of_their_tars(pack: Pack | None) -> None:
    image = read_saved(io.BytesIO(save(LAYERS, pack=pack)), lambda path: path == "etc/b")
    assert [layer.digest for layer in image.layers] == [f"sha256:{digest(layer)}" for layer in LAYERS]
    assert [[entry.path for entry in layer.entries] for layer in image.layers] == [
        ["etc", "etc/a"],
        ["etc/b"],
        ["etc/b"],
    ]
    assert [layer.entries[-1].data for layer in image.layers] == [b"", b"text", b"text"]
    assert image.created_by == ("RUN layer 0", "RUN layer 1", "RUN layer 2")


def test_an_empty_layer_is_a_layer() -> None:
    (layer,) = read_saved(io.BytesIO(save([bytes(1024)])), lambda path: False).layers
    assert layer.entries == ()


def test_a_history_that_does_not_fit_the_layers_tells_of_none() -> None:
    image = read_saved(io.BytesIO(save(LAYERS, make_config(LAYERS, created_by=["squashed"]))), lambda path: False)
    assert image.created_by == ("", "", "")


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, zstandard.compress], ids=["plain", "gzip", "bzip2", "zstd"]
)
def test_a_file_may_be_compressed(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(save(LAYERS)))
    assert len(read_image_file(path, lambda name: False).layers) == len(LAYERS)


def test_a_name_that_is_no_utf_8_can_be_printed() -> None:
    data = make_layer([file("plain")]).replace(b"plain", b"pl\xffin").replace(b"  ", b"  ")
    layer = bytearray(data)
    layer[148:156] = b" " * 8
    layer[148:156] = f"{sum(layer[:512]):06o}\0 ".encode()
    (found,) = read_saved(io.BytesIO(save([bytes(layer)])), lambda path: False).layers
    assert [entry.path for entry in found.entries] == ["pl\\xffin"]


def change(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


BROKEN = {
    "cut off": (save(LAYERS)[:3000], "unexpected end of data|manifest"),
    "cut off in a compressed layer": (save(LAYERS, pack=gzip.compress)[:600], "unexpected end of data"),
    "no image": (make_tar({"a": b"b"}), "it has no manifest.json"),
    "no tar": (b"x" * 5000, "."),
    "two images": (make_tar({"manifest.json": b'[{"a": 1}, {"b": 2}]'}), "it holds 2 images"),
    "no JSON": (make_tar({"manifest.json": b"[{"}), "manifest.json is no JSON"),
    "no description": (make_tar({"manifest.json": b'[{"Config": "x"}]'}), "the description of the image is missing"),
    "a layer missing": (
        make_tar({"c": make_config([]), "manifest.json": json.dumps([{"Config": "c", "Layers": ["l"]}]).encode()}),
        "the layer l is missing",
    ),
    "another layer": (save(LAYERS, make_config(LAYERS[:2])), "its layers are not those that it names"),
    "a byte of a file": (change(save(LAYERS[:1]), b"text", b"tex."), "its layers are not those that it names"),
    "bad zstd": (make_tar({"l": b"\x28\xb5\x2f\xfd" + b"x" * 600}), "zstd"),
    "cut off in zstd": (zstandard.compress(save(LAYERS))[:-200], "invalid header|empty file"),
}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_image_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DamagedImage, match=reason):
        read(data)
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    with pytest.raises(HostError, match=reason) as caught:
        read_image_file(path, lambda name: False)
    assert (caught.value.where, bool(caught.value.hint)) == (str(path), True)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot read this"):
        read_image_file(tmp_path, lambda name: False)


def test_a_large_file_is_not_held_in_memory() -> None:
    data = save([make_layer([file("large", bytes(64 << 20))])])
    tracemalloc.start()
    read(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20
