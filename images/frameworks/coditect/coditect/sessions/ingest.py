"""One ingest: find the files, read what is new in them, commit now and then. Owns the order and the report."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from coditect.sessions.discover import Problem, Search, default_folder
from coditect.sessions.exports import ExportReader
from coditect.sessions.keeper import Keeper, storing
from coditect.sessions.reading import BUFFER, LineReader, close_at, is_unchanged, open_at
from coditect.sessions.stats import TOTALS, write_stats

if TYPE_CHECKING:
    from coditect.sessions.index import Source
    from coditect.sessions.progress import Watch
    from coditect.store import Store

# Bytes read between two commits: what a kill costs at most, in reading.
BATCH: Final = 256 << 20


@dataclass(frozen=True)
class Report:
    """What one ingest did. messages = new + duplicates; files are those with something to read."""

    files: int
    unchanged: int
    bytes_read: int
    messages: int
    new: int
    duplicates: int
    quarantined: int
    seconds: float
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["seconds"] = round(self.seconds, 3)
        values["problems"] = [{"path": item.path, "reason": item.reason} for item in self.problems]
        return values


def ingest(
    store: Store, paths: Sequence[Path] | None = None, *, again: bool = False, watch: Watch | None = None
) -> Report:
    """Keep each distinct message of these files and folders (default: Claude Code's transcripts) once.

    again: read files from their start, whatever is known of them. Waits while another process writes to the store.
    Raises StoreError; what could not be read is in the report.
    """
    started = time.monotonic()
    search = Search(leave_out=store.root)
    if paths is None:
        search.endings = (".jsonl",)
        folder = default_folder(os.environ)
        paths = [folder] if folder.is_dir() else []
    found = list(search.find(paths))
    with storing(store), store.locked("sessions ingest"), Keeper(store) as keeper:
        run = _Run(keeper, watch or _watch_nothing, search.problems)
        run.read_all(run.plan(found, again=again))
        return run.finish(started)


def _watch_nothing(read: int, total: int, messages: int) -> None:
    pass


class _Run:
    """The state of one ingest."""

    def __init__(self, keeper: Keeper, watch: Watch, problems: list[Problem]) -> None:
        self.keeper, self.watch, self.problems = keeper, watch, problems
        self.files = self.unchanged = self.bytes_read = self.total = 0
        self._uncommitted = 0
        self._source: Source | None = None
        self._before = {key: keeper.index.number(key) for key in TOTALS}

    def plan(self, found: Sequence[Path], *, again: bool) -> list[Path]:
        """The files with something to read."""
        return [path for path in found if self._is_due(path, again=again)]

    def _is_due(self, path: Path, *, again: bool) -> bool:
        try:
            status = path.stat()
        except OSError as error:
            self._complain(path, error)
            return False
        if not stat.S_ISREG(status.st_mode):  # to open a pipe is to wait for whoever writes to it
            self.problems.append(Problem(str(path), "is no file"))
            return False
        source = self.keeper.index.source(os.fsencode(path))
        if again:
            source.forget()
            self.keeper.index.put_source(source)
        elif is_unchanged(source, status):
            self.unchanged += 1
            return False
        self.total += max(status.st_size - source.read, 0)
        return True

    def read_all(self, paths: Sequence[Path]) -> None:
        self.watch(0, self.total, 0)
        for path in paths:
            try:
                with path.open("rb", buffering=BUFFER) as file:
                    self._read(path, file)
            except OSError as error:
                self._complain(path, error)

    def _read(self, path: Path, file: BinaryIO) -> None:
        self._source = source = self.keeper.index.source(os.fsencode(path))
        self.files += 1
        missing = ""
        if path.suffix == ".json":
            source.forget()
            open_at(source, file)
            missing = ExportReader(self.keeper, source, self._pause).read(file)
        else:
            open_at(source, file)
            LineReader(self.keeper, source, self._pause).read(file)
        close_at(source)
        if _was_swapped(path, file, source):
            source.forget()
            missing = "was rewritten while it was read; the next run reads it again"
        if missing:
            self.problems.append(Problem(str(path), missing, failed=False))
        self.keeper.index.put_source(source)

    def _pause(self, count: int) -> None:
        """Between two lines: say where we are, and keep what there is once it is much."""
        self.bytes_read += count
        self._uncommitted += count
        self.watch(self.bytes_read, self.total, self.keeper.new + self.keeper.duplicates)
        if self._uncommitted >= BATCH and self._source:
            self.keeper.index.put_source(self._source)
            self._commit()

    def _commit(self) -> None:
        now = self._report(0.0).as_dict()
        totals = {key: self._before[key] + now[name] for key, name in TOTALS.items()}
        self.keeper.commit({**totals, "updated": int(time.time())})
        self._uncommitted = 0

    def finish(self, started: float) -> Report:
        if self.files:
            self._commit()
            write_stats(self.keeper.store, self.keeper.index)
        return self._report(time.monotonic() - started)

    def _report(self, seconds: float) -> Report:
        keeper = self.keeper
        return Report(
            self.files, self.unchanged, self.bytes_read, keeper.new + keeper.duplicates, keeper.new,
            keeper.duplicates, keeper.quarantined, seconds, tuple(self.problems),
        )  # fmt: skip

    def _complain(self, path: Path, error: OSError) -> None:
        """A file that has gone since it was found is no failure."""
        gone = isinstance(error, FileNotFoundError)
        self.problems.append(Problem(str(path), error.strerror or str(error), failed=not gone))


def _was_swapped(path: Path, file: BinaryIO, source: Source) -> bool:
    """Is the file another one by now, or shorter than what was read of it?"""
    return os.fstat(file.fileno()).st_size < source.read or path.stat().st_ino != source.inode
