"""`coditect checkpoint` measured: create and restore for a store of 600 MB, next to copying the store.

Whole commands, start of Python included. Each reads all bytes of the sessions for their checksum; the first create also
looks at every message.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, take_turns

if TYPE_CHECKING:
    from bench.pair import Pair

PACKAGE: Final = Path(__file__).parents[1] / "images" / "frameworks" / "coditect"
STORE_BYTES: Final = 600_000_000
PAGES: Final = 200  # files of knowledge that differ between the two checkpoints
SPOKEN: Final = 150  # messages of a session
GOAL_RESTORE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A store with two checkpoints, in a folder with room for copies."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def fresh(self) -> Path:
        """The same messages without a memory."""
        return self.folder / "fresh"

    def coditect(self, *words: str, store: Path | None = None) -> None:
        command = [sys.executable, "-m", "coditect", *words, "--store", str(store or self.store)]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def write_pages(self, text: str) -> None:
        for number in range(PAGES):
            page = self.store / "memory" / "knowledge" / f"{number:03}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f"# Page {number}\n\n{text * 50}\n")


def measure_checkpoint(pair: Pair, rounds: int) -> list[Figure]:
    """Needs no workstation; takes `pair` as every measure does."""
    return measure_checkpoints(max(3, rounds // 2))


def measure_checkpoints(rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="devbox-bench-") as folder:
        bench = Bench(folder=Path(folder))
        _write_store(bench.store)
        for name in ("first", "second"):
            bench.write_pages(name)
            bench.coditect("checkpoint", "create", name)
        seconds = take_turns(rounds, _acts(bench))
    return [
        Figure(
            name="checkpoint-first", what="first `coditect checkpoint create`, store of 600 MB", unit="s",
            values=seconds["first"], baseline="a copy of the store", baseline_values=seconds["copy"],
        ),
        Figure(
            name="checkpoint-create", what="`coditect checkpoint create`, one more", unit="s",
            values=seconds["create"], baseline="a copy of the store", baseline_values=seconds["copy"],
        ),
        Figure(
            name="checkpoint-restore", what="`coditect checkpoint restore`, store of 600 MB", unit="s",
            values=seconds["restore"], target=GOAL_RESTORE_S,
            baseline="the copy put back in its place", baseline_values=seconds["put back"],
        ),
    ]  # fmt: skip


def _acts(bench: Bench) -> dict[str, Callable[[], object]]:
    numbers, names, copy = iter(range(1_000_000)), cycle(("first", "second")), bench.folder / "copy"
    shutil.copytree(bench.store, copy)
    shutil.copytree(bench.store, bench.fresh, copy_function=os.link)

    def create_first() -> None:
        shutil.rmtree(bench.fresh / "memory")
        bench.coditect("checkpoint", "create", "first", store=bench.fresh)

    def take_copy() -> None:
        shutil.rmtree(copy)
        shutil.copytree(bench.store, copy)

    def put_back() -> None:
        shutil.rmtree(bench.store)
        shutil.copytree(copy, bench.store)

    return {
        "first": create_first,
        "create": lambda: bench.coditect("checkpoint", "create", f"number-{next(numbers)}"),
        "copy": take_copy,
        "restore": lambda: bench.coditect("checkpoint", "restore", next(names)),
        "put back": put_back,
    }


def _write_store(store: Path) -> None:
    """As an ingest leaves it: messages in canonical JSON, and an index that says how much of them counts."""
    storage = store / "context-storage"
    storage.mkdir(parents=True)
    with (storage / "unified_messages.jsonl").open("wb") as file:
        for line in _lines():
            file.write(line)
            if file.tell() >= STORE_BYTES:
                break
        committed = file.tell()
    with closing(sqlite3.connect(storage / "unified_index.sqlite")) as database, database:
        database.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value)")
        database.execute("INSERT INTO meta VALUES('committed', ?)", (committed,))


def _lines() -> Iterator[bytes]:
    chance = random.Random(4)  # noqa: S311 (data, no secrets)
    words = ["error:", "def", '"quoted"', "größer", "src/a.tsx", "\n", "\\d+", "timeout", "fixed", "{}", "日本語"]
    text = " ".join(chance.choices(words, k=100_000))
    number = 0
    while True:
        start = chance.randrange(len(text) - 40_000)
        size = int(min(chance.lognormvariate(8.5, 1.2), 40_000))
        content = [{"text": text[start : start + size], "type": "text"}]
        record = {
            "cwd": "/home/user/project", "message": {"content": content, "role": "user"},
            "sessionId": f"{number // SPOKEN:032x}", "timestamp": "2026-01-01T10:10:11Z", "uuid": f"{number:032x}",
        }  # fmt: skip
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        number += 1


def main() -> None:
    """These figures alone: `python -m bench.framework_checkpoint`."""
    for figure in measure_checkpoints(5):
        print(f"{figure.name}: median {figure.median:.2f} s, best {min(figure.values):.2f} s, target {figure.target} s")
        print(f"  {figure.baseline}: {figure.baseline_median:.2f} s, ratio {figure.ratio:.2f}")


if __name__ == "__main__":
    main()
