"""Images: looked up, pulled, imported, tagged, removed. Building is `adapters.buildkit`, sharing is `registry`.

Must not know where a base comes from: that is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.views import Json, image_view
from builder.adapters.files import cannot
from builder.adapters.imagestream import leave_out, squeeze
from builder.core.chains import chain_ids, count_common
from builder.errors import EngineError
from builder.model import EMPTY

if TYPE_CHECKING:
    from builder.views import ImageView

CHUNK: Final = 1 << 20
SILENCE_S: Final = 900.0  # an engine writes all of an image to its disk before it says a word: a slow one takes minutes
MOVING: Final = ("Downloading", "Pushing")
LAYERS: Final = ("RUN ", "COPY ", "ADD ", "WORKDIR ")  # instructions that make one, even if nothing is in it
Progress = Callable[[int, int], None]  # bytes done, bytes to do (0: not known yet)


class ImageVerbs(Connection):
    def find_image(self, reference: str) -> ImageView | None:
        """An image of this engine by tag, digest or id, or None. Never asks a registry."""
        with self.asking(f"cannot look up the image {reference}"):
            try:
                return image_view(self._api.inspect_image(reference))  # type: ignore[no-untyped-call]
            except docker.errors.NotFound:
                return None

    def inspect_image(self, reference: str) -> Json:
        """The engine's own description, raw, as `inspect` gives that of a container."""
        with self.asking(f"cannot inspect the image {reference}"):
            answer: Json = self._api.inspect_image(reference)  # type: ignore[no-untyped-call]
        return answer

    def image_history(self, reference: str) -> tuple[str, ...]:
        """The instructions that an image was made by, the oldest first."""
        with self.asking(f"cannot read the history of the image {reference}"):
            found = self._api.history(reference)  # type: ignore[no-untyped-call]
        return tuple(str(layer.get("CreatedBy", "")) for layer in reversed(found))

    def image_exists(self, reference: str) -> bool:
        return self.find_image(reference) is not None

    def find_image_ids(self, label: str) -> tuple[ImageView, ...]:
        """Images that carry `label` ("key" or "key=value"), newest first. One question per image."""
        with self.asking("cannot list images"):
            found = self._api.images(filters={"label": [label]})
        views = (self.find_image(item["Id"]) for item in found)
        return tuple(sorted((view for view in views if view), key=lambda view: view.created, reverse=True))

    def pull(self, reference: str, on_progress: Progress | None = None) -> ImageView:
        """Fetch an image from its registry. `on_progress` gets the bytes of all layers together."""
        name, tag = split_reference(reference)
        layers: dict[str, tuple[int, int]] = {}
        doing = f"cannot pull {reference}"
        with self.asking(doing):
            for message in self._api.pull(name, tag=tag, stream=True, decode=True):
                self._refuse_error(doing, message)
                if on_progress:
                    tell_bytes(layers, message, on_progress)
        image = self.find_image(reference)
        if image is None:
            raise EngineError(
                f"{doing}: the engine says it is done, but has no such image",
                where=self.host.named,
                hint="somebody may have removed it at once: run the command again",
            )
        return image

    def import_tar(
        self,
        path: Path,
        reference: str,
        labels: Mapping[str, str] = EMPTY,
        *,
        changes: Sequence[str] = (),
        on_progress: Progress | None = None,
    ) -> str:
        """Make an image of one layer from a root file system's tar (plain or gzip); the image's id.

        `changes` are Dockerfile lines such as `CMD ["bash"]`. The file is streamed, never held in memory. Raises
        SilentEngineError as `load_image` does.
        """
        lines = [*changes, *_label_lines(labels)]
        return self._import(f"cannot import {path} as {reference}", _read_chunks(path, on_progress), reference, lines)

    def import_folder(self, folder: Path, prefix: str, reference: str, labels: Mapping[str, str]) -> str:
        """Make an image of one layer, with what lies in `folder` below `prefix`; the image's id. Raises HostError for
        what has no place in an image, and SilentEngineError as `load_image` does."""
        from builder.adapters.buildcontext import read_context

        doing = f"cannot import {folder} as {reference}"
        return self._import(doing, read_context({}, {prefix: folder}), reference, _label_lines(labels))

    def _import(self, doing: str, chunks: Iterator[bytes], reference: str, changes: Sequence[str]) -> str:
        image_id = ""
        for message in self.stream(
            doing,
            "/images/create",
            params={"fromSrc": "-", "repo": reference, "changes": list(changes)},  # podman 4 reads no `tag` here
            body=chunks,
            headers={"Content-Type": "application/tar"},
            silence_s=SILENCE_S,
        ):
            self._refuse_error(doing, message)
            image_id = str(message.get("status", image_id))
        return image_id

    def load_image(self, chunks: Iterator[bytes]) -> None:
        """Take over what `docker save` wrote; its tags come along. Raises SilentEngineError where the engine reads
        nothing more, or says nothing, for `SILENCE_S`; that `chunks` are long in coming is another's silence."""
        doing = "cannot load the image"
        for message in self.stream(
            doing,
            "/images/load",
            params={"quiet": "1"},
            body=chunks,
            headers={"Content-Type": "application/x-tar"},
            silence_s=SILENCE_S,
        ):
            self._refuse_error(doing, message)

    def load_layers(
        self, chunks: Iterator[bytes], layers: Sequence[str], left_out: Collection[int], on_bytes: Callable[[int], None]
    ) -> int:
        """`load_image`, without the files of some of its layers, which `count_shared` knows to be there; the bytes that
        went over, packed. `on_bytes` hears of those before."""
        told = sent = 0

        def watched() -> Iterator[bytes]:
            nonlocal told
            for chunk in leave_out(chunks, layers, left_out):
                told += len(chunk)
                yield chunk
                on_bytes(told)

        def counted() -> Iterator[bytes]:
            nonlocal sent
            for chunk in squeeze(watched()):
                sent += len(chunk)
                yield chunk

        self.load_image(counted())
        return sent

    def tag(self, image: str, reference: str) -> None:
        name, tag = split_reference(reference)
        with self.asking(f"cannot tag {image} as {reference}"):
            self._api.tag(image, name, tag, force=True)

    def remove_image(self, reference: str, *, force: bool = False) -> int:
        """Remove a tag, and the image with its last tag; the bytes that came free. One that is gone already is what
        was wanted. Layers of another image, or of the builder's cache, stay, and are not counted."""
        with self.asking(f"cannot remove the image {reference}"):
            try:
                sizes = self._layer_sizes(reference)
                done = self._api.remove_image(reference, force=force)
            except docker.errors.NotFound:
                return 0
        return sum(sizes.get(item.get("Deleted", ""), 0) for item in done or ())

    def _layer_sizes(self, reference: str) -> dict[str, int]:
        """Of each layer, by its chain id: the name that the engine gives to what it deletes. Nothing where history and
        layers do not fit: the engine does not say which entries of a history made no layer.

        Source: the OCI image specification, "Layer ChainID".
        """
        chains = chain_ids(image_view(self._api.inspect_image(reference)).layers)  # type: ignore[no-untyped-call]
        history = self._api.history(reference)  # type: ignore[no-untyped-call]
        made = [item for item in reversed(history) if item["Size"] or item.get("CreatedBy", "").startswith(LAYERS)]
        if len(chains) != len(made):
            return {}
        return {chain: int(item["Size"]) for chain, item in zip(chains, made, strict=True)}

    def measure_layers(self, reference: str) -> tuple[int, ...]:
        """Bytes of what is in each layer, the lowest first; nothing where the engine does not say."""
        with self.asking(f"cannot measure the image {reference}"):
            return tuple(self._layer_sizes(reference).values())

    def count_shared(self, layers: Sequence[str]) -> int:
        """How many of an image's layers (diff ids), from the lowest on, this engine has and would take from itself when
        that image is loaded; 0 where it always loads and saves all of them. One question per image."""
        if self.kind != "docker" or self._stores_blobs():
            return 0
        with self.asking("cannot list images"):
            found = self._api.images(quiet=True)
        views = (self.find_image(item) for item in dict.fromkeys(found))
        return max((count_common(layers, view.layers) for view in views if view), default=0)

    def _stores_blobs(self) -> bool:
        """containerd's image store wants every layer of what it loads, as it came from a registry."""
        with self.asking("the engine does not describe itself"):
            status = self._api.info().get("DriverStatus") or ()
        return any("io.containerd.snapshotter" in str(value) for _, value in status)

    def _refuse_error(self, doing: str, message: Json) -> None:
        """Streams answer 200 first and may fail later, in a message of their own."""
        if error := message.get("error"):
            raise answer_error(doing, 0, str(error), self.host)


def tell_bytes(layers: MutableMapping[str, tuple[int, int]], message: Json, on_progress: Progress) -> None:
    """Hand on what a message of a pull or push says of one layer, as the bytes of all of them together."""
    if message.get("status") not in MOVING:
        return
    detail = message.get("progressDetail") or {}
    layers[message.get("id", "")] = (detail.get("current", 0), detail.get("total", 0))
    on_progress(sum(done for done, _ in layers.values()), sum(total for _, total in layers.values()))


def split_reference(reference: str) -> tuple[str, str | None]:
    """Name and tag of a reference: ("host:5000/a", "b") from "host:5000/a:b"; a digest stays with the name's tag."""
    if "@" in reference:
        name, _, digest = reference.partition("@")
        return name, digest
    name, separator, tag = reference.rpartition(":")
    return (name, tag) if separator and "/" not in tag else (reference, None)


def _label_lines(labels: Mapping[str, str]) -> list[str]:
    return [f"LABEL {quoted(key)}={quoted(value)}" for key, value in sorted(labels.items())]


def quoted(text: str) -> str:
    """A word of a Dockerfile LABEL line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _read_chunks(path: Path, progress: Progress | None) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            total, done = path.stat().st_size, 0
            while chunk := file.read(CHUNK):
                yield chunk
                done += len(chunk)
                if progress:
                    progress(done, total)
    except OSError as error:
        raise cannot("read", path, error) from error
