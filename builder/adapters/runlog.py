"""What happened lately: the last runs in each workspace as JSON lines, and reports of errors that nobody foresaw.

Owns `runs/` and `reports/` below `<state>/devbox`: a file for each run and report, few of them kept, 0600. A run that
says nothing leaves nothing. What is written was redacted before; reads nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

KEPT: Final = 20  # runs of one workspace; reports
KEPT_ALL: Final = 200  # runs of all workspaces: most of those have gone after a while
MAX_RUN: Final = 256 << 10
Failed = Callable[[OSError], None]
_opened: list[Path] = []  # by this process; a name would tell its id, which another one had before


class RunLog:
    """The log of one run of `verb`, made with its first line; bounded. A log that cannot be kept hinders no work:
    `failed` hears of it, once."""

    def __init__(self, state: Path, workspace: Path, verb: str, *, failed: Failed) -> None:
        self._folder = state / "devbox" / "runs"
        self._workspace = workspace
        self._verb = verb
        self._failed = failed
        self._handle: int | None = None
        self._left = MAX_RUN
        self._broken = False

    def write(self, told: Mapping[str, object]) -> None:
        """Append one line, with the time, unless the log is full or could not be written before."""
        if self._broken or self._left <= 0:
            return
        try:
            if self._handle is None:
                self._handle = self._open()
                self._append({"event": "Began", "verb": self._verb, "process": os.getpid()})
            self._append(told)
        except OSError as error:
            self._broken = True
            self._failed(error)

    def end(self, code: int, text: str = "") -> None:
        """How the run ended. One that went well and had nothing to say leaves no log."""
        if self._handle is not None or code != 0:
            self._left = max(self._left, 1)  # the end is worth a line beyond the limit
            self.write({"event": "Ended", "code": code, "text": text})
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _append(self, told: Mapping[str, object]) -> None:
        line = (json.dumps({"at": _now().isoformat(timespec="milliseconds"), **told}) + "\n").encode()
        assert self._handle is not None  # noqa: S101  # `write` opens it
        os.write(self._handle, line)
        self._left -= len(line)

    def _open(self) -> int:
        _private_folder(self._folder)
        own = f"{name_workspace(self._workspace)}-"
        _keep_newest([path for path in _list(self._folder) if path.name.startswith(own)], KEPT - 1)
        _keep_newest(sorted(_list(self._folder), key=lambda path: path.name.split("-", 1)[-1]), KEPT_ALL - 1)
        path = self._folder / f"{own}{_stamp()}.jsonl"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _opened.append(path)
        return handle


def name_workspace(workspace: Path) -> str:
    """The eight digits by which a workspace's files are known, also in the folder of its secrets (`keys`)."""
    return hashlib.sha256(os.fsencode(workspace)).hexdigest()[:8]


def list_runs(state: Path, workspace: Path) -> list[Path]:
    """The runs that are known of a workspace, the oldest first."""
    own = f"{name_workspace(workspace)}-"
    return [path for path in _list(state / "devbox" / "runs") if path.name.startswith(own)]


def list_reports(state: Path) -> list[Path]:
    """The reports that are kept, the oldest first."""
    return _list(state / "devbox" / "reports")


def read_own_run(state: Path) -> list[dict[str, object]]:
    """What this process has written to the log of its run. Raises OSError or ValueError where that cannot be read."""
    found = [path for path in _opened if path.parent == state / "devbox" / "runs"]
    lines = found[-1].read_text(encoding="utf-8").splitlines() if found else []
    return [json.loads(line) for line in lines]


def write_report(state: Path, text: str) -> Path:
    """Keep a report; the oldest go. Raises OSError."""
    folder = state / "devbox" / "reports"
    _private_folder(folder)
    path = folder / f"{_stamp()}.txt"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as sink:
            sink.write(text)
    except OSError:
        path.unlink()  # half a report would only mislead
        raise
    _keep_newest(_list(folder), KEPT)
    return path


def _private_folder(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def _list(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file())


def _keep_newest(files: list[Path], number: int) -> None:
    for path in files[: max(0, len(files) - number)]:
        path.unlink(missing_ok=True)  # another devbox may do the same


def _stamp() -> str:
    return f"{_now():%Y%m%dT%H%M%S%f}-{os.getpid()}"


def _now() -> datetime:
    return datetime.now(timezone.utc)
