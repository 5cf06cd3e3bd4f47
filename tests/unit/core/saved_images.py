"""Images in the form of `docker save`, made member by member, for what is said of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence

from builder.adapters.savedimage import read_saved
from builder.core.contents import find_wanted
from builder.core.layers import SavedImage

TIME = 1_577_836_800
Member = tuple[tarfile.TarInfo, bytes]


def file(path: str, data: bytes = b"text", *, mode: int = 0o644, **more: object) -> Member:
    return _member(path, tarfile.REGTYPE, data, mode=mode, **more)


def folder(path: str, *, mode: int = 0o755, **more: object) -> Member:
    return _member(path, tarfile.DIRTYPE, b"", mode=mode, **more)


def link(path: str, target: str, **more: object) -> Member:
    return _member(path, tarfile.SYMTYPE, b"", mode=0o777, linkname=target, **more)


def hard_link(path: str, target: str) -> Member:
    return _member(path, tarfile.LNKTYPE, b"", linkname=target)


def device(path: str, major: int, minor: int) -> Member:
    return _member(path, tarfile.CHRTYPE, b"", devmajor=major, devminor=minor)


def pipe(path: str) -> Member:
    return _member(path, tarfile.FIFOTYPE, b"")


def _member(path: str, kind: bytes, data: bytes, **more: object) -> Member:
    info = tarfile.TarInfo(path)
    info.type, info.size, info.mtime = kind, len(data), TIME
    for name, value in more.items():
        setattr(info, name, value)
    return info, data


def make_layer(members: Sequence[Member]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def make_tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return sink.getvalue()


def digest(layer: bytes) -> str:
    return hashlib.sha256(layer).hexdigest()


def make_config(
    layers: Sequence[bytes],
    settings: Mapping[str, object] | None = None,
    created_by: Sequence[str] | None = None,
    created: str = "2026-01-01T00:00:00Z",
) -> bytes:
    made = created_by if created_by is not None else [f"RUN layer {index}" for index in range(len(layers))]
    history = [{"created": created, "created_by": text} for text in made]
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Env": ["PATH=/bin", "LANG=C"], "Entrypoint": ["/init"], **(settings or {})},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(layer)}" for layer in layers]},
            "history": [*history, {"created_by": "ENV LANG=C", "empty_layer": True}],
        }
    ).encode()


def save(
    layers: Sequence[bytes], config: bytes | None = None, *, pack: Callable[[bytes], bytes] | None = None
) -> bytes:
    """As Engine 20.10 writes it: layers before what names them, and the second of two equal ones as a link. With `pack`
    as engines since 25 do, with compressed layers."""
    config = make_config(layers) if config is None else config
    if pack:
        names = [f"blobs/sha256/{digest(layer)}" for layer in layers]
        blobs = {name: pack(layer) for name, layer in zip(names, layers, strict=True)}
        about = f"blobs/sha256/{digest(config)}"
        manifest = [{"Config": about, "RepoTags": None, "Layers": names}]
        return make_tar({**blobs, about: config, "manifest.json": json.dumps(manifest).encode()})
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    names = [f"{index}{digest(layer)}/layer.tar" for index, layer in enumerate(layers)]
    for name, layer in zip(names, layers, strict=True):
        first = next((known for known, data in files.items() if data == layer), None)
        if first is None:
            files[name] = layer
        else:
            links[name] = f"../{first}"
    about = f"{digest(config)}.json"
    manifest = [{"Config": about, "RepoTags": ["a:1"], "Layers": names}]
    return make_tar({**files, "VERSION": b"1.0", about: config, "manifest.json": json.dumps(manifest).encode()}, links)


def read(layers: Sequence[Sequence[Member]], **about: object) -> SavedImage:
    """The image of these layers, by way of its saved form."""
    tars = [make_layer(members) for members in layers]
    return read_saved(io.BytesIO(save(tars, make_config(tars, **about))), find_wanted)  # type: ignore[arg-type]
