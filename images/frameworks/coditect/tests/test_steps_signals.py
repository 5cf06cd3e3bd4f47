"""Ctrl-C and SIGTERM: every step ends, nothing is left running, the exit code tells which signal it was."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from steps_kit import is_alive, make_fifo, read_pids, start_run, write_tasks

from coditect.steps import Step, run_steps

SLOW = """
steps:
  slow: {shell: "echo $$ > shell; (sleep 60 & echo $! > child; echo > fifo; wait) & wait"}
  next: {run: ["true"], needs: [slow]}
"""
DEAF = """
steps:
  deaf: {shell: "trap '' TERM; echo $$ > shell; echo > fifo; while :; do sleep 60; done"}
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_step_with_its_children_and_writes_the_report(
    tmp_path: Path, signum: signal.Signals
) -> None:
    fifo = make_fifo(tmp_path)
    write_tasks(tmp_path, SLOW)
    process = start_run(tmp_path, "tasks.yaml", "--json", "-", "--output", "logs")
    fifo.read_text()  # the step and its grandchild are at work
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    report = json.loads(out)
    assert process.returncode == 128 + signum
    assert (report["ok"], report["interrupted"]) == (False, signum.name)
    assert [step["state"] for step in report["steps"].values()] == ["stopped", "skipped"]
    assert f"interrupted by {signum.name}" in err
    assert not any(is_alive(pid) for name in ("child", "shell") for pid in read_pids(tmp_path / name))


def test_a_second_ctrl_c_kills_at_once_what_ignores_the_first(tmp_path: Path) -> None:
    fifo = make_fifo(tmp_path)
    write_tasks(tmp_path, DEAF)
    process = start_run(tmp_path, "tasks.yaml", "--log", "plain", "--output", "logs")
    assert process.stderr is not None
    fifo.read_text()
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "-- stopping: SIGINT\n"
    assert is_alive(*read_pids(tmp_path / "shell"))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not is_alive(*read_pids(tmp_path / "shell"))


def test_ctrl_c_reaches_who_called_run_steps_after_all_steps_have_ended(tmp_path: Path) -> None:
    text = f"echo $$ > pid; kill -INT {os.getpid()}; exec sleep 60"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_steps([Step("slow", ["sh", "-c", text], cwd=tmp_path)], output=tmp_path)
    assert not is_alive(*read_pids(tmp_path / "pid"))
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_a_watcher_leaves_no_step_running(tmp_path: Path) -> None:
    """Such as a terminal that has gone away while the view is drawn."""
    from coditect.steps.watcher import Watcher

    class Broken(Watcher):
        def retrying(self, name: str, reason: str, wait: float) -> None:
            raise BrokenPipeError

    make_fifo(tmp_path)
    steps = [
        Step("slow", ["sh", "-c", "echo $$ > pid; echo > fifo; exec sleep 60"], cwd=tmp_path),
        Step("bad", ["sh", "-c", "read word < fifo; exit 1"], cwd=tmp_path, retries=1),
    ]
    with pytest.raises(BrokenPipeError):
        run_steps(steps, jobs=2, output=tmp_path / "logs", watcher=Broken())
    assert not is_alive(*read_pids(tmp_path / "pid"))
