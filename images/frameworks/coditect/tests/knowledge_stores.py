"""Stores made by hand for the tests of knowledge: a messages file, and an index that says how much of it counts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coditect.records import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from coditect.store import Store

SAMPLE = Path(__file__).parent / "knowledge_sample"


def lines_of(path: Path) -> list[bytes]:
    return [canonical_json(json.loads(line)) for line in path.read_bytes().splitlines()]


def append(store: Store, lines: Iterable[bytes]) -> None:
    """As ingest does: first the messages, then the length that readers may use."""
    store.storage.mkdir(parents=True, exist_ok=True)
    with store.messages.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)
        length = file.tell()
    with closing(sqlite3.connect(store.index)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value)")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('committed', ?)", (length,))


def spoken(role: str, text: str, minute: int = 0, session: str = "s", **more: Any) -> bytes:
    """One message of a person or of the assistant."""
    return _line(role, [{"type": "text", "text": text}], minute, session, more)


def called(command: str, output: str, failed: bool, minute: int = 0, session: str = "s") -> list[bytes]:
    """A shell command and its result."""
    name = f"{session}-{minute}-{command}"
    use = {"type": "tool_use", "id": name, "name": "Bash", "input": {"command": command}}
    result = {"type": "tool_result", "tool_use_id": name, "content": output, "is_error": failed}
    return [_line("assistant", [use], minute, session, {}), _line("user", [result], minute, session, {})]


def edited(path: str, minute: int = 0, session: str = "s") -> bytes:
    use = {"type": "tool_use", "id": f"{session}-{minute}-{path}", "name": "Edit", "input": {"file_path": path}}
    return _line("assistant", [use], minute, session, {})


def _line(role: str, content: list[dict[str, Any]], minute: int, session: str, more: Mapping[str, Any]) -> bytes:
    record = {
        "type": role,
        "sessionId": session,
        "cwd": "/home/ana/shop",
        "timestamp": f"2026-03-14T{minute // 60:02}:{minute % 60:02}:00Z",
        "message": {"role": role, "content": content},
        **more,
    }
    return canonical_json(record)


def pages(store: Store) -> dict[str, str]:
    """Every file of the knowledge folder by name."""
    folder = store.memory / "knowledge"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
