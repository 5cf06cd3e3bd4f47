"""Logs of runs and reports: few, small, private, and no hindrance."""

from __future__ import annotations

import json
import os
from pathlib import Path

from builder.adapters.runlog import KEPT, KEPT_ALL, MAX_RUN, RunLog, list_runs, read_own_run


def make(state: Path, workspace: str = "/w/a", heard: list[OSError] | None = None) -> RunLog:
    return RunLog(state, Path(workspace), "up", failed=(heard if heard is not None else []).append)


def test_a_run_that_says_nothing_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path).end(0)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_told_from_begin_to_end_in_a_private_file(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write({"event": "Note", "text": "x"})
    log.end(5, "no engine")

    (path,) = list_runs(tmp_path, Path("/w/a"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["Began", "Note", "Ended"]
    assert (lines[0]["verb"], lines[2]["code"], lines[2]["text"]) == ("up", 5, "no engine")
    assert read_own_run(tmp_path) == lines


def test_a_log_of_an_earlier_process_with_this_id_is_not_ours(tmp_path: Path) -> None:
    make(tmp_path).end(1, "mine")
    other = tmp_path / f"devbox/runs/ffffffff-20990101T000000000000-{os.getpid()}.jsonl"
    other.write_text('{"event": "Began"}\n')

    assert [line.get("text") for line in read_own_run(tmp_path)] == [None, "mine"]


def test_a_run_is_bounded_and_its_end_is_there(tmp_path: Path) -> None:
    log = make(tmp_path)
    for _ in range(100):
        log.write({"text": "x" * 10_000})
    log.end(1)

    (path,) = list_runs(tmp_path, Path("/w/a"))
    assert MAX_RUN <= path.stat().st_size < MAX_RUN + 20_000
    assert '"Ended"' in path.read_text().splitlines()[-1]


def test_few_runs_of_a_workspace_are_kept_and_few_of_all(tmp_path: Path) -> None:
    make(tmp_path, "/w/other").end(1)
    for _ in range(KEPT + 5):
        make(tmp_path).end(1)
    assert (len(list_runs(tmp_path, Path("/w/a"))), len(list_runs(tmp_path, Path("/w/other")))) == (KEPT, 1)
    newest = list_runs(tmp_path, Path("/w/a"))[-1]

    for number in range(KEPT_ALL):
        make(tmp_path, f"/w/{number}").end(1)

    assert len(list((tmp_path / "devbox/runs").iterdir())) == KEPT_ALL
    assert not list_runs(tmp_path, Path("/w/other"))
    assert not newest.exists()


def test_a_log_that_cannot_be_kept_is_told_once_and_hinders_nothing(tmp_path: Path) -> None:
    (tmp_path / "devbox").write_text("in the way")
    heard: list[OSError] = []

    log = make(tmp_path, heard=heard)
    for _ in range(3):
        log.write({"text": "x"})
    log.end(1)

    assert len(heard) == 1
