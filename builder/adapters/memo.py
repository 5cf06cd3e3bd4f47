"""`<cache>/answers/`: the locks that this machine asked for, by what they answer. What is lost is asked again."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic

MAX_LOCK: Final = 16 << 20
KEY: Final = re.compile(r"[0-9a-f]{64}")
KEPT: Final = 50  # the oldest go


class LockMemo:
    """`folder` is made when something is first remembered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> tuple[bytes, float] | None:
        """With its age in seconds."""
        path = self._path(key)
        data = read_plain(path, MAX_LOCK)
        return None if data is None else (data, time.time() - _written(path))

    def save(self, key: str, data: bytes) -> None:
        make_folder(self._folder)
        write_atomic(self._path(key), data)
        for path in sorted(self._folder.glob("*.json"), key=_written)[:-KEPT]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot("remove", path, error) from error

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(key)
        return self._folder / f"{key}.json"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another devbox was faster
        return 0.0
