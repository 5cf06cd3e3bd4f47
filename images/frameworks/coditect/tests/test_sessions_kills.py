"""Killed at any point, run again, run at once with others: the store holds the same messages and is sound."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessions_killer import ingest_until
from sessions_oracle import distinct, faults, in_child, kept, quarantined, quick_folder, session_lines

from coditect.sessions.index import Index
from coditect.sessions.ingest import ingest
from coditect.sessions.stats import open_index
from coditect.store import Store

LINES = [b'{"b":%d, "a":"%s"}' % (number % 9, b"x" * (number * 7 % 50)) for number in range(16)] + [
    b"broken",
    b'{"c":1}',
]


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def test_a_kill_at_every_single_step_leaves_a_store_that_the_next_run_completes() -> None:
    with quick_folder() as folder:
        paths = [write(folder / "a.jsonl", LINES[:10]), write(folder / "b.jsonl", LINES[6:])]
        steps = 0
        while (code := kill_and_complete(folder / f"store-{steps}", paths, steps)) == -signal.SIGKILL:
            steps += 1
    assert code == 0  # the first step that there is not
    assert steps > 100


def kill_and_complete(root: Path, paths: list[Path], step: int) -> int:
    store, expected = Store(root), distinct(line for path in paths for line in path.read_bytes().splitlines())
    code = in_child(lambda: ingest_until(step, store, paths))
    before = kept(store)
    assert before == expected[: len(before)]
    assert not store.index.exists() or faults(store) == []
    ingest(store, paths)
    assert kept(store) == expected
    assert [entry["line"] for entry in quarantined(store)] == [11]
    with open_index(store) as index:  # what was read is counted once, however often it was begun
        assert index.number("total_messages") == sum(path.read_bytes().count(b"{") for path in paths)
    assert faults(store) == []
    return code


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_interleaving_of_growth_kills_and_runs_gives_the_same_messages(data: st.DataObject) -> None:
    lines = data.draw(session_lines())
    with quick_folder() as folder:
        store, path = Store(folder / "store"), folder / "a.jsonl"
        path.touch()
        whole = b"".join(line + b"\n" for line in lines)
        end = 0
        for _ in range(data.draw(st.integers(0, 5))):
            grown = min(end + data.draw(st.integers(0, 150)), len(whole))
            with path.open("ab") as file:
                file.write(whole[end:grown])
            end = grown
            step = data.draw(st.integers(0, 150))
            in_child(lambda step=step: ingest_until(step, store, [path]))  # type: ignore[misc]
        with path.open("ab") as file:
            file.write(whole[end:])
        ingest(store, [path])
        assert set(kept(store)) - {b'{"a":1}'} == set(distinct(lines)) - {b'{"a":1}'}
        assert faults(store) == []
        assert ingest(store, [path]).new == 0


def command(store: Store, *paths: Path) -> list[str]:
    return [sys.executable, "-m", "coditect", "sessions", "ingest", "--store", str(store.root), *map(str, paths)]


def test_a_command_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    lines = [b'{"b":%d, "a":"%s"}' % (number % 400, b"x" * (number % 300)) for number in range(20_000)]
    path = write(tmp_path / "a.jsonl", lines)
    store = Store(tmp_path / "store")
    chance = random.Random(1)  # noqa: S311 (moments, no secrets)
    for _ in range(8):
        process = subprocess.Popen(command(store, path), stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.02, 0.25))
        process.kill()
        process.wait()
    subprocess.run(command(store, path), check=True, stdout=subprocess.DEVNULL)
    assert kept(store) == distinct(lines)
    assert faults(store) == []


def test_runs_at_the_same_time_lose_and_double_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    files = [write(tmp_path / f"{number}.jsonl", [*LINES, b'{"own":%d}' % number]) for number in range(4)]
    runs = [subprocess.Popen(command(store, *files[number:], *files[:number])) for number in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    assert sorted(kept(store)) == sorted(distinct(lines))
    assert len(quarantined(store)) == len(files)
    assert faults(store) == []


def test_a_reader_sees_only_what_is_committed_after_a_kill(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", LINES)
    store = Store(tmp_path / "store")
    assert in_child(lambda: ingest_until(120, store, [path])) == -signal.SIGKILL
    assert store.messages.stat().st_size >= store.committed()
    assert 0 < len(kept(store)) < len(distinct(LINES))


def test_a_writer_that_was_killed_amid_a_large_transaction_keeps_no_reader_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    ingest(store, [write(tmp_path / "a.jsonl", [b'{"a":1}'])])

    def die() -> None:
        index = Index(store.index)
        index._execute("PRAGMA cache_size = 1")  # so that the pages go to the disk long before the commit
        for number in range(5000):
            index.add_quarantine(b"%032d" % number)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    assert store.committed() == len(b'{"a":1}\n')
    assert faults(store) == []
