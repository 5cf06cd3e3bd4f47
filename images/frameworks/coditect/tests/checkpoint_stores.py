"""Small stores for the tests of checkpoints and backups, made by hand as the ingest would leave them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coditect.records import canonical_json

if TYPE_CHECKING:
    from coditect.store import Store


def isolate(setenv: Callable[[str, str], None], delenv: Callable[..., None], folder: Path) -> None:
    """No settings of whoever runs the tests, and nothing in their home."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "RESTIC_", "CODITECT_", "CLAUDE_"))]:
        delenv(name)
    delenv("EMAIL", raising=False)
    for name, place in (("HOME", "home"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")):
        setenv(name, str(folder / place))
    (folder / "home").mkdir(exist_ok=True)
    setenv("RESTIC_CACHE_DIR", str(folder / "cache"))
    setenv("GIT_CONFIG_NOSYSTEM", "1")


def message(text: str, session: str = "s1") -> dict[str, Any]:
    return {"type": "user", "sessionId": session, "message": {"role": "user", "content": text}}


def write_messages(store: Store, records: Sequence[dict[str, Any]], torn: bytes = b"") -> None:
    """All of them, committed; `torn` is what a killed writer left behind."""
    lines = b"".join(canonical_json(record) + b"\n" for record in records)
    store.storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    store.messages.write_bytes(lines + torn)
    with closing(sqlite3.connect(store.index)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value)")
        database.execute("INSERT OR REPLACE INTO meta VALUES('committed', ?)", (len(lines),))


def git(store: Store, *words: str) -> str:
    """As a person would call it in the folder of the memory."""
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words]
    return subprocess.run(command, cwd=store.memory, capture_output=True, text=True, check=True).stdout.strip()


def in_child(act: Callable[[], object]) -> int:
    """Exit code of a process that runs `act`; it may end at any point without any tidying up."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
