"""`history.json` in the state directory: the workstations that a workspace ran, as versioned JSON.

Not below `.workstation/`, which anybody's repository may bring along: a container is made from what stands here, with
its mounts and capabilities, and devbox.yaml is not asked.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.core.canonical import make_plain
from builder.core.recorded import Recorded, read_recorded
from builder.errors import LockError

# What takes long to import comes where it is used: a start without a plan (`tasks.again`) recalls, and loads nothing.
if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from builder.core.generations import History

FORMAT: Final = 1
FILE: Final = "history.json"
MAX_HISTORY: Final = 4 << 20


class HistoryStore:
    """`folder` says where the state of a workstation lies, by the name of its project."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder

    def load(self, project: str) -> History:
        """Nothing yet is an empty History. Raises LockError for a damaged file, or one of another devbox."""
        from builder.core.generations import History

        path = self._folder(project) / FILE
        data = read_plain(path, MAX_HISTORY)
        return History() if data is None else load_history(data, where=str(path))

    def recall(self, project: str) -> Recorded | None:
        """The workstation of now alone, without its schema. None for whatever `load` has to say something about."""
        told = self._read(project)
        return read_recorded(told["history"]) if told else None

    def note_made(self, project: str, made: str) -> None:
        """That the same workstation was made anew, at this time."""
        told = self._read(project)
        if told and told["history"]["current"]["made"] != made:
            told["history"]["current"]["made"] = made
            self._write(project, _dump(told))

    def save(self, project: str, history: History) -> None:
        self._write(project, dump_history(history))

    def _read(self, project: str) -> dict[str, Any] | None:
        try:
            told = json.loads(read_plain(self._folder(project) / FILE, MAX_HISTORY) or b"null")
            return told if told["format"] == FORMAT and isinstance(told["history"]["current"], dict) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _write(self, project: str, data: bytes) -> None:
        folder = self._folder(project)
        make_folder(folder, mode=0o700)
        write_atomic(folder / FILE, data, mode=0o600)

    def remove(self, project: str) -> None:
        path = self._folder(project) / FILE
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot("remove", path, error) from error


def dump_history(history: History) -> bytes:
    return _dump({"format": FORMAT, "history": make_plain(history)})


def _dump(told: object) -> bytes:
    return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def load_history(data: bytes, *, where: str) -> History:
    """Raises LockError when it is damaged or of another devbox."""
    from pydantic import ValidationError

    try:
        told = json.loads(data)
        number = told["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unusable(where, "is damaged: no history of devbox") from error
    if number != FORMAT:
        raise _unusable(where, f"was written by another devbox (format {number}, this one knows {FORMAT})")
    try:
        # By way of JSON, which turns lists into tuples and text into enums, and nothing else.
        return _schema().validate_json(json.dumps(told.get("history")), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _unusable(where, f"is damaged ({place}: {first['msg']})") from error


@functools.cache  # an `up` reads the history several times, and this takes longer than all else of it
def _schema() -> TypeAdapter[History]:
    from pydantic import TypeAdapter

    from builder.core.generations import History

    return TypeAdapter(History)


def _unusable(where: str, why: str) -> LockError:
    return LockError(why, where=where, hint="remove it: only the way back to an earlier workstation is lost with it")
