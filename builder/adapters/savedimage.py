"""One image in the form of `docker save`: read once, from front to back, without keeping the bytes of its files.

Knows both layouts, that of Docker (`<id>/layer.tar`) and that of OCI (`blobs/sha256/...`), which engines since 25
write with the same `manifest.json`. Must not know an engine, nor what the files mean.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import zstandard

from builder.adapters.files import cannot
from builder.core.layers import EntryKind, Layer, LayerEntry, SavedImage
from builder.errors import HostError

CHUNK: Final = 1 << 20
SNIFFED: Final = 512  # the first block of a member tells what it is
LARGEST_JSON: Final = 16 << 20
ALLOWED_NAMES: Final = "surrogateescape"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
XATTR: Final = "SCHILY.xattr."
KINDS: Final[Mapping[bytes, EntryKind]] = {
    tarfile.DIRTYPE: EntryKind.FOLDER,
    tarfile.SYMTYPE: EntryKind.LINK,
    tarfile.LNKTYPE: EntryKind.HARD_LINK,
    tarfile.CHRTYPE: EntryKind.CHARACTERS,
    tarfile.BLKTYPE: EntryKind.BLOCKS,
    tarfile.FIFOTYPE: EntryKind.PIPE,
}
BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)

Wanted = Callable[[str], object]  # path -> true where the bytes of that file are to be kept


class DamagedImage(Exception):
    """The stream is not what `docker save` writes, or is cut off. Says why; where it came from its reader knows."""


def read_image_file(path: Path, wanted: Wanted) -> SavedImage:
    """The image in a file of `docker save`, also compressed with zstd (as `devbox save` does), gzip, bzip2 or xz."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(ZSTD)) == ZSTD
            file.seek(0)
            if packed:
                return read_saved(_unpack(file), wanted)
            return read_saved(file, wanted, compressed=True)
    except DamagedImage as error:
        raise HostError(
            f"this is no image as `docker save` writes one: {error}",
            where=str(path),
            hint="save it again: `docker save --output FILE IMAGE`, one image in one file",
        ) from error
    except OSError as error:
        raise cannot("read", path, error) from error


def read_saved(stream: Any, wanted: Wanted, *, compressed: bool = False) -> SavedImage:
    """The one image of `stream`. Raises DamagedImage, also where a layer is not the one that the image names."""
    parts = _Parts()
    try:
        with tarfile.open(fileobj=stream, mode="r|*" if compressed else "r|", bufsize=CHUNK) as tar:
            for member in tar:
                _read_part(tar, member, parts, wanted)
    except BROKEN as error:
        raise DamagedImage(str(error)) from error
    return _assemble(parts)


@dataclass(slots=True)
class _Parts:
    """What the archive holds, by name: which layer of which image is told at its end only."""

    texts: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # a layer that is there twice


def _read_part(tar: tarfile.TarFile, member: tarfile.TarInfo, parts: _Parts, wanted: Wanted) -> None:
    name = posixpath.normpath(member.name)
    if member.issym():
        parts.links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
    source = tar.extractfile(member) if member.isfile() else None
    if source is None:
        return
    head = source.read(SNIFFED)
    stream = _Joined(head, source)
    if head[:1] in (b"{", b"["):
        if member.size > LARGEST_JSON:
            raise DamagedImage(f"{name} is too large")
        parts.texts[name] = _parse(name, stream.read())
    elif head[:2] == b"\x1f\x8b":
        parts.layers[name] = _read_layer(gzip.GzipFile(fileobj=stream), wanted)
    elif head[:4] == ZSTD:
        parts.layers[name] = _read_layer(_unpack(stream), wanted)
    elif head[257:262] == b"ustar" or not any(head):
        parts.layers[name] = _read_layer(stream, wanted)


def _unpack(source: Any) -> Any:  # whatever can be read
    return zstandard.ZstdDecompressor().stream_reader(source)


def _parse(name: str, text: bytes) -> Any:  # JSON
    try:
        return json.loads(text)
    except ValueError as error:
        raise DamagedImage(f"{name} is no JSON ({error})") from error


class _Joined(io.RawIOBase):
    """The bytes that were read to know what comes, and the rest of it; with a sum over all that was read."""

    def __init__(self, head: bytes, rest: Any) -> None:  # whatever can be read
        self._head = head
        self._rest = rest
        self.sum = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        self.sum.update(data)
        return len(data)


def _read_layer(source: Any, wanted: Wanted) -> Layer:
    stream = _Joined(b"", source)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, encoding="utf-8", errors=ALLOWED_NAMES) as tar:
        entries = tuple(_read_entries(tar, wanted))
    while stream.read(CHUNK):  # to the end, for the sum: tars are filled up
        pass
    return Layer(digest=f"sha256:{stream.sum.hexdigest()}", entries=entries)


def _read_entries(tar: tarfile.TarFile, wanted: Wanted) -> Iterator[LayerEntry]:
    for member in tar:
        path = _normal(member.name)
        kind = KINDS.get(member.type, EntryKind.FILE)
        sha256, data = _read_file(tar, member, keep=bool(wanted(path))) if kind is EntryKind.FILE else ("", b"")
        yield LayerEntry(
            path=path,
            kind=kind,
            mode=member.mode & 0o7777,
            owner=(member.uid, member.gid),
            mtime=_read_time(member.pax_headers.get("mtime") or str(member.mtime)),
            size=member.size if kind is EntryKind.FILE else 0,
            sha256=sha256,
            link=_link(member, kind),
            device=(member.devmajor, member.devminor),
            attributes={
                _printable(key.removeprefix(XATTR)): value.encode("utf-8", ALLOWED_NAMES).hex()
                for key, value in member.pax_headers.items()
                if key.startswith(XATTR)
            },
            data=data,
        )


def _read_file(tar: tarfile.TarFile, member: tarfile.TarInfo, *, keep: bool) -> tuple[str, bytes]:
    source = tar.extractfile(member)
    found, kept = hashlib.sha256(), bytearray()
    while source is not None and (chunk := source.read(CHUNK)):
        found.update(chunk)
        if keep:
            kept += chunk
    return found.hexdigest(), bytes(kept)


def _link(member: tarfile.TarInfo, kind: EntryKind) -> str:
    if kind is EntryKind.HARD_LINK:
        return _normal(member.linkname)
    return _printable(member.linkname) if kind is EntryKind.LINK else ""


def _normal(name: str) -> str:
    """Relative to the root, as "." or without a dot at the front."""
    return _printable(posixpath.normpath(name.lstrip("/") or "."))


def _printable(name: str) -> str:
    """A file's name is any bytes; what is not UTF-8 came as surrogates, which no JSON takes."""
    return name.encode(errors=ALLOWED_NAMES).decode(errors="backslashreplace")


def _read_time(text: str) -> str:
    """Seconds since 1970, perhaps with a fraction, in the form of RFC 3339."""
    seconds, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    try:
        moment = datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return text
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


# ------------------------------------------------------------------------------------------------ put together


def _assemble(parts: _Parts) -> SavedImage:
    manifest = parts.texts.get("manifest.json")
    if not isinstance(manifest, list) or not manifest:
        raise DamagedImage("it has no manifest.json")
    if len(manifest) > 1:
        raise DamagedImage(f"it holds {len(manifest)} images")
    config = parts.texts.get(posixpath.normpath(str(manifest[0].get("Config"))))
    if not isinstance(config, dict):
        raise DamagedImage("the description of the image is missing")
    layers = tuple(_find_layer(parts, posixpath.normpath(str(name))) for name in manifest[0].get("Layers") or ())
    named = tuple((config.get("rootfs") or {}).get("diff_ids") or ())
    if named != tuple(layer.digest for layer in layers):
        raise DamagedImage("its layers are not those that it names")
    made = [str(item.get("created_by") or "") for item in config.get("history") or () if not item.get("empty_layer")]
    settings = config.get("config") or {}
    return SavedImage(
        settings=dict(_flatten(config)),
        labels={str(key): str(value) for key, value in (settings.get("Labels") or {}).items()},
        created_by=tuple(made) if len(made) == len(layers) else ("",) * len(layers),
        layers=layers,
    )


def _find_layer(parts: _Parts, name: str) -> Layer:
    layer = parts.layers.get(parts.links.get(name, name))
    if layer is None:
        raise DamagedImage(f"the layer {name} is missing")
    return layer


def _flatten(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything that an engine makes a container from, in lines. The moment of the build and its history are not."""
    for key in ("architecture", "os", "variant"):
        if config.get(key):
            yield key, str(config[key])
    for key, value in (config.get("config") or {}).items():
        if key == "Env":
            for line in value or ():
                name, _, text = str(line).partition("=")
                yield f"variable {name}", text
        elif key == "Labels":
            for name, text in (value or {}).items():
                yield f"label {name}", str(text)
        elif value:
            yield key, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
