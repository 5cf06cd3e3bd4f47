"""Reads the files of other tools that may lie in a workspace. Interprets nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from builder.adapters.files import read_plain

MAX_FILE: Final = 1 << 20


def read_files(root: Path, names: Iterable[str]) -> Mapping[str, str]:
    """Those of `names` that are there, as text. Raises HostError for one that is no plain file, or larger than 1 MB."""
    found = {name: read_plain(root / name, MAX_FILE) for name in names}
    return {name: data.decode("utf-8", "replace") for name, data in found.items() if data is not None}
