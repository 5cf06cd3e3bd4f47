"""Images: looked up, pulled, imported, tagged, removed. Building is `adapters.buildkit`.

Must not know where a base comes from: that is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors

from builder.adapters.engine.connection import Connection
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.views import Json, image_view
from builder.errors import EngineError, HostError
from builder.model import EMPTY

if TYPE_CHECKING:
    from builder.views import ImageView

CHUNK: Final = 1 << 20
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
                if message.get("status") == "Downloading":
                    detail = message.get("progressDetail") or {}
                    layers[message.get("id", "")] = (detail.get("current", 0), detail.get("total", 0))
                    if on_progress:
                        on_progress(
                            sum(done for done, _ in layers.values()), sum(total for _, total in layers.values())
                        )
        image = self.find_image(reference)
        if image is None:
            raise EngineError(f"{doing}: the engine says it is done, but has no such image", where=self.host.url)
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

        `changes` are Dockerfile lines such as `CMD ["bash"]`. The file is streamed, never held in memory.
        """
        name, tag = split_reference(reference)
        lines = [*changes, *(f"LABEL {quoted(key)}={quoted(value)}" for key, value in sorted(labels.items()))]
        doing = f"cannot import {path} as {reference}"
        image_id = ""
        for message in self.stream(
            doing,
            "/images/create",
            params={"fromSrc": "-", "repo": name, "tag": tag or "latest", "changes": lines},
            body=_read_chunks(path, on_progress),
            headers={"Content-Type": "application/tar"},
        ):
            self._refuse_error(doing, message)
            image_id = str(message.get("status", image_id))
        return image_id

    def tag(self, image: str, reference: str) -> None:
        name, tag = split_reference(reference)
        with self.asking(f"cannot tag {image} as {reference}"):
            self._api.tag(image, name, tag, force=True)

    def remove_image(self, reference: str, *, force: bool = False) -> None:
        """Remove a tag, and the image with its last tag. One that is gone already is what was wanted."""
        with self.asking(f"cannot remove the image {reference}"):
            try:
                self._api.remove_image(reference, force=force)
            except docker.errors.NotFound:
                return

    def _refuse_error(self, doing: str, message: Json) -> None:
        """Streams answer 200 first and may fail later, in a message of their own."""
        if error := message.get("error"):
            raise answer_error(doing, 0, str(error), self.host)


def split_reference(reference: str) -> tuple[str, str | None]:
    """Name and tag of a reference: ("host:5000/a", "b") from "host:5000/a:b"; a digest stays with the name's tag."""
    if "@" in reference:
        name, _, digest = reference.partition("@")
        return name, digest
    name, separator, tag = reference.rpartition(":")
    return (name, tag) if separator and "/" not in tag else (reference, None)


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
        raise HostError(f"cannot be read: {error.strerror}", where=str(path)) from error
