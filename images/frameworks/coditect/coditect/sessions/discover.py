"""Which session files there are. Owns the walk through folders; reads no file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Final

ENDINGS: Final = (".jsonl", ".json")


@dataclass(frozen=True)
class Problem:
    """A file or folder that could not be read, and why. `failed`: somebody should know; else it is only said."""

    path: str
    reason: str
    failed: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass
class Search:
    """Finds each file once, however many ways lead to it, in the order of the arguments and then of the names."""

    leave_out: InitVar[Path]  # the store itself: what it holds are no session files
    endings: Sequence[str] = ENDINGS
    problems: list[Problem] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self, leave_out: Path) -> None:
        if leave_out.exists():
            self._is_new(os.fspath(leave_out))

    def find(self, paths: Sequence[Path]) -> Iterator[Path]:
        for path in paths:
            if path.is_dir():
                yield from self._walk(os.fspath(path.absolute()))
            elif self._is_new(os.fspath(path)):
                yield path.absolute()

    def _walk(self, folder: str) -> Iterator[Path]:
        if not self._is_new(folder):
            return
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(Problem(folder, error.strerror or str(error)))
            return
        for entry in found:
            if _is_folder(entry):
                yield from self._walk(entry.path)
            elif entry.name.endswith(tuple(self.endings)) and self._is_new(entry.path):
                yield Path(entry.path)

    def _is_new(self, path: str) -> bool:
        """False for what was seen by another name: symbolic links may lead round in circles."""
        try:
            found = Path(path).stat()
        except OSError as error:
            self.problems.append(Problem(path, error.strerror or str(error)))
            return False
        mark = (found.st_dev, found.st_ino)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself; opening it will say so
        return False


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where Claude Code keeps its transcripts."""
    return Path(environment.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser() / "projects"
