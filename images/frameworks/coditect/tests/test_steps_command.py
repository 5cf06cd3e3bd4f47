"""`coditect run` as it is called: exit codes, reports, the choice of steps, and where the output goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from steps_kit import write_tasks

from coditect.cli import call
from coditect.steps.cores import count_cores

TASKS = """
steps:
  fetch: {run: [echo, fetched]}
  build: {shell: "echo built\\necho twice", needs: [fetch]}
  other: {run: [echo, other]}
"""
FAILING = """
steps:
  bad: {shell: "echo why; exit 3"}
  next: {run: ["true"], needs: [bad]}
"""


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


Output = pytest.CaptureFixture[str]


def test_a_run_that_goes_well_says_so_on_stderr_and_keeps_each_output(tmp_path: Path, capsys: Output) -> None:
    tasks = write_tasks(tmp_path, TASKS)
    assert call(["run", str(tasks), "--output", str(tmp_path / "logs"), "--jobs", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "-- fetch: done in " in err
    assert "\nbuilt\ntwice\n" in err
    assert err.splitlines()[-1].startswith("3 steps in ")
    assert {file.name for file in (tmp_path / "logs").iterdir()} == {"fetch.log", "build.log", "other.log"}


def test_a_failure_is_exit_4_and_told_last_with_the_file_of_its_output(tmp_path: Path, capsys: Output) -> None:
    tasks = write_tasks(tmp_path, FAILING)
    assert call(["run", str(tasks), "--output", str(tmp_path / "logs")]) == 4
    err = capsys.readouterr().err
    assert "next: skipped: needs 'bad', which failed\n" in err
    assert f"error: {tasks}: 1 step of 2 failed: bad\nbad: exit code 3, after " in err
    assert err.endswith(f"  | why\n  output: {tmp_path / 'logs' / 'bad.log'}\n")


def test_a_broken_task_file_is_exit_2(tmp_path: Path, capsys: Output) -> None:
    assert call(["run", str(write_tasks(tmp_path, "steps: {a: {rnu: [x]}}"))]) == 2
    assert "did you mean 'run'?" in capsys.readouterr().err


def test_the_report_has_states_times_and_the_longest_chain(tmp_path: Path, capsys: Output) -> None:
    assert call(["run", str(write_tasks(tmp_path, TASKS)), "--json", "-", "--log", "quiet"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert err == ""
    assert report["ok"] is True
    assert {name: step["state"] for name, step in report["steps"].items()} == dict.fromkeys(
        ["fetch", "build", "other"], "done"
    )
    assert report["longest_chain"]["steps"] == ["fetch", "build"]
    assert Path(report["steps"]["fetch"]["log"]).read_text() == "fetched\n"
    assert 0 < report["longest_chain"]["seconds"] <= report["sequential_seconds"]


def test_the_report_is_written_when_a_step_fails_too(tmp_path: Path) -> None:
    tasks, target = write_tasks(tmp_path, FAILING), tmp_path / "report.json"
    assert call(["run", str(tasks), "--json", str(target)]) == 4
    assert json.loads(target.read_text())["steps"]["bad"]["code"] == 3


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path, capsys: Output) -> None:
    assert call(["run", str(write_tasks(tmp_path, TASKS)), "--json", str(tmp_path / "no" / "report")]) == 1
    assert "the report cannot be written" in capsys.readouterr().err


def test_only_the_named_steps_run_and_what_they_need(tmp_path: Path) -> None:
    call(["run", str(write_tasks(tmp_path, TASKS)), "build", "--output", str(tmp_path / "logs")])
    assert {file.name for file in (tmp_path / "logs").iterdir()} == {"fetch.log", "build.log"}


def test_an_unknown_step_is_told_with_the_nearest_one(tmp_path: Path, capsys: Output) -> None:
    assert call(["run", str(write_tasks(tmp_path, TASKS)), "biuld"]) == 2
    assert "there is no step 'biuld': did you mean 'build'?" in capsys.readouterr().err


def test_a_dry_run_shows_the_order_and_starts_nothing(tmp_path: Path, capsys: Output) -> None:
    tasks = write_tasks(tmp_path, "steps: {late: {shell: touch made, needs: [early]}, early: {run: [touch, a b]}}")
    assert call(["run", str(tasks), "--dry-run"]) == 0
    assert capsys.readouterr().out == "  1  early  touch 'a b'\n  2  late   touch made  (after early)\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tasks.yaml"]


def test_the_plan_of_a_dry_run_can_be_json(tmp_path: Path, capsys: Output) -> None:
    call(["run", str(write_tasks(tmp_path, TASKS)), "build", "--dry-run", "--json", "-"])
    assert json.loads(capsys.readouterr().out) == [
        {"step": "fetch", "level": 1, "needs": []},
        {"step": "build", "level": 2, "needs": ["fetch"]},
    ]


def test_steps_run_in_the_folder_of_the_task_file(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    tasks = write_tasks(tmp_path / "project", "steps: {where: {run: [pwd, -P]}}")
    call(["run", str(tasks), "--output", str(tmp_path)])
    assert (tmp_path / "where.log").read_text() == f"{tmp_path / 'project'}\n"


def test_without_output_the_last_ten_runs_are_kept(tmp_path: Path) -> None:
    tasks = write_tasks(tmp_path, "steps: {a: {run: [echo, kept]}}")
    call(["run", str(tasks)])
    (runs,) = (tmp_path / "state" / "coditect" / "runs").iterdir()
    (first,) = runs.iterdir()
    assert (first / "a.log").read_text() == "kept\n"
    for number in range(20):
        (runs / f"20000101-0000{number:02}-1").mkdir()
    call(["run", str(tasks)])
    assert len(list(runs.iterdir())) == 10
    assert first.exists()


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(SystemExit) as caught:
        call(["run", str(write_tasks(tmp_path, TASKS)), f"--jobs={number}"])
    assert caught.value.code == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: Output) -> None:
    tasks = write_tasks(tmp_path, TASKS)
    assert call(["run", str(tasks), "--output", str(tasks / "sub")]) == 1
    assert "the folder cannot be made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 10**6),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 10**6),
        ({}, 10**6),
    ],
)
def test_the_quota_of_the_control_group_bounds_the_processors(tmp_path: Path, files: dict[str, str], most: int) -> None:
    everything = count_cores(tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert count_cores(tmp_path) == min(everything, most)
