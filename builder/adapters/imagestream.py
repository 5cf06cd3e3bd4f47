"""An image on its way to an engine that has some of its layers: these are left out of what `docker save` writes.

Docker's loader looks for a layer by its chain id before it opens the file of it (moby, image/tarexport/load.go), so
that a file which is not there is not missed. The stream is cut while it passes, and never whole anywhere. Knows the
layout of engines until 24 (`<id>/layer.tar`) and that of OCI (`blobs/sha256/<diff id>`). Must not know an engine.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from builder.adapters.clock import monotonic
from builder.adapters.tarstream import CHUNK, END, ChunkFile, write_body, write_head
from builder.core.chains import chain_ids
from builder.errors import EngineError

LEVEL: Final = 1
GAINS: Final = 40e6  # bytes a second of the way, below which level 1 gains time: see docs/decisions/remote-hosts.md
FADES: Final = 0.9  # what counts of all that was before, with each chunk
LARGEST_NOTE: Final = 1 << 20


def leave_out(chunks: Iterator[bytes], layers: Sequence[str], left_out: Collection[int]) -> Iterator[bytes]:
    """The tar of `docker save` without the files of some `layers` (diff ids), which are numbered from the lowest.

    A layer that is not recognised goes along. Raises EngineError where the stream breaks off.
    """
    blobs = {f"blobs/sha256/{layers[number].removeprefix('sha256:')}" for number in left_out}
    chains = chain_ids(layers)
    folders: set[str] = set()  # of the older layout
    try:
        with tarfile.open(fileobj=ChunkFile(chunks), mode="r|", bufsize=CHUNK) as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                if member.name in blobs or (name == "layer.tar" and folder in folders):
                    continue
                body: Iterable[bytes] = ()
                if source := tar.extractfile(member) if member.isreg() else None:
                    body = write_body(source, member.size)
                    if name == "json" and member.size < LARGEST_NOTE:
                        body = [b"".join(body)]
                        note = body[0][: member.size]
                        if any(is_of_layer(note, folder, chains[number]) for number in left_out):
                            folders.add(folder)
                yield write_head(member)
                yield from body
    except (tarfile.TarError, EOFError) as error:
        raise EngineError(
            f"the image broke off while it was sent ({error})",
            hint="the engine may have been restarted: run the same command again",
        ) from error
    yield END


def is_of_layer(note: bytes, folder: str, chain: str) -> bool:
    """Whether a folder of the older layout has the layer of this chain id. Its name is the hash of what its file `json`
    says, which comes before the layer, with that id (moby, image/v1/imagev1.go, CreateID)."""
    try:
        told: Any = json.loads(note)
    except ValueError:
        return False
    if not isinstance(told, dict):
        return False
    for added in ("id", "os"):  # once it had its name
        told.pop(added, None)
    if parent := told.pop("parent", None):
        told["parent"] = f"sha256:{parent}"
    told["layer_id"] = chain
    text = json.dumps(dict(sorted(told.items())), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest() == folder


def squeeze(chunks: Iterator[bytes], now: Callable[[], float] = monotonic) -> Iterator[bytes]:
    """As a row of gzip's members, which every engine takes: packed as long as the way is so slow that packing gains
    time, else as they are. How fast it is shows in how long each one takes to be taken."""
    gone = waited = 0.0
    for chunk in chunks:
        level = LEVEL if gone < waited * GAINS else 0
        member = gzip.compress(chunk, level, mtime=0)
        began = now()
        yield member
        gone, waited = gone * FADES + len(member), waited * FADES + now() - began
