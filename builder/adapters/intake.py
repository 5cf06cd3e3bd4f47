"""Files of a person's own folder that go into an image. What must not travel is refused: what a link brings in from
outside, private keys, and all too much."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.files import cannot
from builder.errors import HostError
from builder.model import RenderedFile

if TYPE_CHECKING:
    from builder.model import RenderedTree

MAX_BYTES: Final = 64 << 20
MAX_FILES: Final = 5_000
PRIVATE_KEY: Final = re.compile(rb"\s*(?:-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the folder is called in an error, and what helps against each."""

    name: str
    link: str
    key: str
    size: str

    def refuse_link_out(self, path: Path, root: Path) -> None:
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            message = f"this link leads out of the {self.name}, to {path.readlink()}"
            raise HostError(message, where=str(path), hint=self.link)

    def read(self, paths: Iterable[Path], folder: Path) -> RenderedTree:
        """By path below `folder`."""
        found: dict[str, RenderedFile] = {}
        total = 0
        for path in paths:
            data = read_file(path)
            if PRIVATE_KEY.match(data):
                raise HostError("is a private key, which does not go into a build", where=str(path), hint=self.key)
            total += len(data)
            found[path.relative_to(folder).as_posix()] = RenderedFile(data=data, executable=os.access(path, os.X_OK))
            if total > MAX_BYTES or len(found) > MAX_FILES:
                message = f"holds more than {MAX_BYTES >> 20} MB or {MAX_FILES} files"
                raise HostError(message, where=str(folder), hint=self.size)
        return dict(sorted(found.items()))


def read_file(path: Path) -> bytes:
    """Raises HostError, also for a pipe, which would be waited for."""
    try:
        if not path.is_file():
            hint = "move it away, or put a copy in its place"
            raise HostError("is no plain file, and no link to one", where=str(path), hint=hint)
        return path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from error
