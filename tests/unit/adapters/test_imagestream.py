"""An image on its way: what is left out of it, in both layouts, and that the rest stays as it is."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from builder.adapters.imagestream import leave_out, squeeze
from builder.errors import EngineError

# Names and notes of an image as Docker Engine 20.10.24 saved it; its layers are made up.
LAYERS = (
    "sha256:356ee4303da52e23ece5791707d5ebed24f3a2a3fa7b72fc0a507ba30ef82906",
    "sha256:775fde9275c79f7bee090161620cffa5f7f432246a09996e31574382685c8f9d",
    "sha256:78049507f40c28d3fffee7774048518198ffe3ea6c8d4a028da588de7797aea6",
)
FOLDERS = (
    "c64906995cefbe798f6c8b200c0c2dc4aa6139f4359910aa3e52203db43c64f0",
    "be4a82338e5f050fafc26df0f208267cf8aa6f1b03b1775f65af821faea17672",
    "be58265af638901b1f7c6125bf8c377f956abd3c6a7f8ee91ae9fa4bcc263194",
)
EMPTY = (
    '"created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,'
    '"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,'
    '"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"os":"linux"}'
)
NOTES = (
    f'{{"id":"{FOLDERS[0]}",{EMPTY}',
    f'{{"id":"{FOLDERS[1]}","parent":"{FOLDERS[0]}",{EMPTY}',
    f'{{"id":"{FOLDERS[2]}","parent":"{FOLDERS[1]}","config":{{}}}}',
)
BIG = os.urandom(2_500_001)


def older() -> dict[str, bytes]:
    """In the order of such an archive, which is that of the names."""
    files = {"manifest.json": b"[]", "repositories": b"{}"}
    for folder, note in zip(FOLDERS, NOTES, strict=True):
        files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": note.encode(), f"{folder}/layer.tar": BIG}
    return dict(sorted(files.items()))


def newer() -> dict[str, bytes]:
    blobs = {f"blobs/sha256/{layer.removeprefix('sha256:')}": BIG for layer in LAYERS}
    return {**dict(sorted(blobs.items())), "index.json": b"{}", "manifest.json": b"[]", "oci-layout": b"{}"}


def save(files: Mapping[str, bytes]) -> Iterator[bytes]:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    whole = sink.getvalue()
    yield from (whole[start : start + 70_001] for start in range(0, len(whole), 70_001))


def load(stream: Iterator[bytes]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        found = {member.name: tar.extractfile(member) for member in tar}
        return {name: source.read() for name, source in found.items() if source is not None}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (older(), [f"{folder}/layer.tar" for folder in FOLDERS]),
        (newer(), [f"blobs/sha256/{layer.removeprefix('sha256:')}" for layer in LAYERS]),
    ],
    ids=["older", "OCI"],
)
@pytest.mark.parametrize("left_out", [set(), {0}, {0, 1}, {1}])
def test_exactly_the_files_of_layers_that_are_there_are_left_out(
    files: dict[str, bytes], names: list[str], left_out: set[int]
) -> None:
    gone = {names[number] for number in left_out}
    wanted = {name: data for name, data in files.items() if name not in gone}
    found = load(leave_out(save(files), LAYERS, left_out))
    assert found == wanted
    assert list(found) == list(wanted)


def test_what_is_not_recognised_goes_along() -> None:
    files = {"other/json": b"no JSON", "other/layer.tar": BIG, "else/json": b"[]", "blobs/sha256/00": b"x"}
    assert load(leave_out(save(files), LAYERS, {0, 1})) == files


def test_an_image_passes_in_small_pieces() -> None:
    pulled = 0

    def watched() -> Iterator[bytes]:
        nonlocal pulled
        for chunk in save(older()):
            pulled += len(chunk)
            yield chunk

    given = 0
    for chunk in leave_out(watched(), LAYERS, {0}):
        given += len(chunk)
        assert pulled - given < len(BIG) + (3 << 20)  # what is left out, and buffers; there are three layers
        assert len(chunk) <= 1 << 20


def test_one_that_breaks_off_is_told() -> None:
    whole = b"".join(save(newer()))
    with pytest.raises(EngineError, match="the image broke off while it was sent"):
        b"".join(leave_out(iter([whole[:4_000_000]]), LAYERS, {0}))


@dataclass
class Way:
    """What takes the chunks, so many bytes a second, by a clock of its own."""

    speeds: list[float]  # of each chunk, the last one for all that follow
    time: float = 0.0

    def now(self) -> float:
        return self.time

    def take(self, chunks: Iterator[bytes]) -> list[bytes]:
        taken: list[bytes] = []
        for chunk in chunks:
            taken.append(chunk)
            self.time += len(chunk) / self.speeds[min(len(taken), len(self.speeds)) - 1]
        return taken


def squeeze_all(way: Way, chunks: list[bytes]) -> list[float]:
    """How much is left of each chunk; together they have to be what was given."""
    taken = way.take(squeeze(iter(chunks), way.now))
    assert gzip.decompress(b"".join(taken)) == b"".join(chunks)
    return [len(member) / len(chunk) for member, chunk in zip(taken, chunks, strict=True)]


CHUNKS = [b"devbox " * 20_000] * 60


def test_on_a_slow_way_it_is_packed_from_the_second_chunk_on() -> None:
    first, *rest = squeeze_all(Way([5e6]), CHUNKS)
    assert first > 1
    assert max(rest) < 0.1


def test_on_a_fast_way_it_goes_as_it_is() -> None:
    assert min(squeeze_all(Way([100e6]), CHUNKS)) > 1


def test_a_way_that_becomes_fast_or_slow_is_noticed() -> None:
    assert squeeze_all(Way([5e6] * 10 + [500e6]), CHUNKS)[-1] > 1
    assert squeeze_all(Way([500e6] * 10 + [5e6]), CHUNKS)[-1] < 0.1
