"""Failures: who is ended, who is skipped and why, what is tried again, and that nothing is left running."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
from steps_kit import PACKAGE, is_alive, make_fifo, read_pids

from coditect.errors import StepsFailedError
from coditect.steps import Report, State, Step, run_steps


def shell(name: str, text: str, folder: Path, *needs: str, **settings: object) -> Step:
    return Step(name, ["sh", "-e", "-c", text], needs, cwd=folder, **settings)  # type: ignore[arg-type]


def fail_once_ready(folder: Path) -> Step:
    """Fails, and so stops the run, when another step has written to the fifo."""
    make_fifo(folder)
    return shell("bad", "read word < fifo; exit 1", folder)


def states(report: Report) -> dict[str, str]:
    return {name: result.state.value for name, result in report.results.items()}


def test_a_failure_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    report = run_steps(
        [
            shell("slow", "echo $$ > pid; echo ready > fifo; exec sleep 60", tmp_path),
            fail_once_ready(tmp_path),
            shell("next", "true", tmp_path, "bad"),
            shell("other", "true", tmp_path),
        ],
        jobs=2, output=tmp_path / "logs", check=False,
    )  # fmt: skip
    assert states(report) == {"slow": "stopped", "bad": "failed", "next": "skipped", "other": "skipped"}
    assert report.results["bad"].code == 1
    assert report.results["next"].reason == "needs 'bad', which failed"
    assert report.results["other"].reason == "the run was stopped: 'bad' failed"
    assert not is_alive(*read_pids(tmp_path / "pid"))


def test_keep_going_does_all_that_does_not_depend_on_the_failure(tmp_path: Path) -> None:
    report = run_steps(
        [
            shell("bad", "exit 1", tmp_path),
            shell("next", "true", tmp_path, "bad"),
            shell("last", "true", tmp_path, "next"),
            shell("other", "true", tmp_path),
            shell("more", "true", tmp_path, "other"),
        ],
        jobs=1, keep_going=True, output=tmp_path / "logs", check=False,
    )  # fmt: skip
    assert states(report) == {"bad": "failed", "next": "skipped", "last": "skipped", "other": "done", "more": "done"}
    assert report.results["last"].reason == "needs 'next', which was skipped"


def test_a_step_that_may_fail_stops_nothing(tmp_path: Path) -> None:
    steps = [shell("bad", "exit 1", tmp_path, allow_failure=True), shell("next", "true", tmp_path, "bad")]
    report = run_steps(steps, output=tmp_path / "logs")
    assert report.ok
    assert states(report) == {"bad": "failed", "next": "done"}
    assert report.results["bad"].allowed


def test_a_step_is_tried_again_and_its_log_has_every_attempt(tmp_path: Path) -> None:
    step = shell("flaky", "echo try $CODITECT_ATTEMPT; test $CODITECT_ATTEMPT = 3", tmp_path, retries=5, backoff=0.01)
    report = run_steps([step], output=tmp_path)
    assert report.results["flaky"].attempts == 3
    log = (tmp_path / "flaky.log").read_text()
    assert log == "try 1\n[coditect: attempt 2 of 6]\ntry 2\n[coditect: attempt 3 of 6]\ntry 3\n"


def test_a_step_fails_when_its_last_attempt_does(tmp_path: Path) -> None:
    step = shell("bad", "exit 9", tmp_path, retries=2, backoff=0.01)
    result = run_steps([step], output=tmp_path, check=False).results["bad"]
    assert (result.state, result.attempts, result.code, result.reason) == (State.FAILED, 3, 9, "exit code 9")


def test_a_step_that_waits_for_another_attempt_is_not_waited_for_after_a_stop(tmp_path: Path) -> None:
    steps = [
        shell("flaky", "exit 1", tmp_path, retries=1, backoff=50),
        shell("bad", "exit 2", tmp_path, "first"),
        shell("first", "true", tmp_path),
    ]
    report = run_steps(steps, jobs=1, output=tmp_path / "logs", check=False)
    assert states(report) == {"flaky": "failed", "bad": "failed", "first": "done"}


def test_a_timeout_ends_grandchildren_too_and_says_how_long_it_was(tmp_path: Path) -> None:
    step = shell("slow", "(sleep 60 & echo $! >> pids; wait) & echo $$ >> pids; wait", tmp_path, timeout=3)
    result = run_steps([step], output=tmp_path, check=False).results["slow"]
    assert (result.state, result.reason, result.code) == (State.TIMED_OUT, "timed out after 3.0 s", None)
    pids = read_pids(tmp_path / "pids")
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    text = "trap '' TERM; echo $$ > pids; echo ready > fifo; while :; do sleep 60; done"
    steps = [shell("deaf", text, tmp_path), fail_once_ready(tmp_path)]
    report = run_steps(steps, jobs=2, output=tmp_path / "logs", check=False, grace=0.05)
    assert states(report) == {"deaf": "stopped", "bad": "failed"}
    assert not is_alive(*read_pids(tmp_path / "pids"))


def test_who_heeds_sigterm_has_time_to_clean_up(tmp_path: Path) -> None:
    text = "trap 'echo clean; exit 0' TERM; echo ready > fifo; while :; do sleep 0.01; done"
    steps = [shell("tidy", text, tmp_path), fail_once_ready(tmp_path)]
    run_steps(steps, jobs=2, output=tmp_path / "logs", check=False)
    assert (tmp_path / "logs" / "tidy.log").read_text().endswith("clean\n")


@pytest.mark.skipif(shutil.which("setsid") is None or sys.platform != "linux", reason="needs setsid and /proc")
def test_a_grandchild_that_left_the_group_is_ended_with_a_step_that_is_stopped(tmp_path: Path) -> None:
    text = "setsid sh -c 'echo $$ > pids; echo ready > fifo; exec sleep 60' & wait"
    steps = [shell("slow", text, tmp_path), fail_once_ready(tmp_path)]
    run_steps(steps, jobs=2, output=tmp_path / "logs", check=False)
    assert not is_alive(*read_pids(tmp_path / "pids"))


def test_the_steps_of_a_run_inside_a_step_are_ended_with_it(tmp_path: Path) -> None:
    text = "echo $$ > pids; echo ready > fifo; exec sleep 60"
    (tmp_path / "inner.yaml").write_text(f'steps: {{deep: {{shell: "{text}"}}}}')
    inner = [sys.executable, "-m", "coditect", "run", "inner.yaml", "--output", "inner"]
    step = Step("outer", inner, cwd=tmp_path, env={"PYTHONPATH": str(PACKAGE)})
    run_steps([step, fail_once_ready(tmp_path)], jobs=2, output=tmp_path / "logs", check=False)
    assert not is_alive(*read_pids(tmp_path / "pids"))


def test_what_a_step_leaves_behind_in_its_group_is_ended_and_does_not_hold_up_the_run(tmp_path: Path) -> None:
    report = run_steps([shell("server", "sleep 60 & echo $! > pids", tmp_path)], output=tmp_path)
    assert report.ok
    assert not is_alive(*read_pids(tmp_path / "pids"))


def test_what_ends_a_moment_after_its_step_is_waited_for(tmp_path: Path) -> None:
    run_steps([shell("early", "(sleep 0.1; echo late) &", tmp_path)], output=tmp_path)
    assert (tmp_path / "early.log").read_text() == "late\n"


def test_a_step_has_no_input_and_no_terminal(tmp_path: Path) -> None:
    text = "cat; if (: < /dev/tty) 2> /dev/null; then echo terminal; else echo none; fi"
    run_steps([shell("ask", text, tmp_path, timeout=20)], output=tmp_path)
    assert (tmp_path / "ask.log").read_text() == "none\n"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step("bad", ["no-such-program-here"]), "cannot be started: No such file or directory: no-such-program-here"),
        (Step("bad", ["/"]), "cannot be started: Permission denied: /"),
        (Step("bad", ["true"], cwd=Path("/no/such/folder")),
         "cannot be started: No such file or directory: /no/such/folder"),
        (Step("bad", ["sh", "-c", "kill -SEGV $$"]), "ended by SIGSEGV"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure_is_told(tmp_path: Path, step: Step, reason: str) -> None:
    result = run_steps([step], output=tmp_path, check=False).results["bad"]
    assert (result.state, result.reason) == (State.FAILED, reason)


def test_a_failure_raises_an_error_with_the_end_of_the_output_and_the_log(tmp_path: Path) -> None:
    step = shell("bad", "seq 1 50; echo why >&2; exit 2", tmp_path)
    with pytest.raises(StepsFailedError) as caught:
        run_steps([step], output=tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "1 step of 1 failed: bad"
    assert lines[1].startswith("bad: exit code 2, after ")
    assert lines[2:] == [*(f"  | {n}" for n in range(42, 51)), "  | why", f"  output: {tmp_path / 'bad.log'}"]


def test_a_function_that_raises_fails_and_its_output_is_kept(tmp_path: Path) -> None:
    def bad() -> None:
        sys.stdout.write("before\n")
        raise ValueError("no good")

    report = run_steps([Step("bad", bad)], output=tmp_path, check=False)
    log = (tmp_path / "bad.log").read_text()
    assert states(report) == {"bad": "failed"}
    assert log.startswith("before\n")
    assert "ValueError: no good" in log


def test_a_function_can_time_out(tmp_path: Path) -> None:
    step = Step("slow", threading.Event().wait, timeout=0.2)
    assert states(run_steps([step], output=tmp_path, check=False)) == {"slow": "timed-out"}


def test_a_function_has_the_environment_and_the_folder_of_its_step(tmp_path: Path) -> None:
    def tell() -> None:
        sys.stdout.write(f"{os.environ['NAME']} {os.environ['CODITECT_STEP']} {Path.cwd()}\n")

    run_steps([Step("tell", tell, env={"NAME": "value"}, cwd=tmp_path)], output=tmp_path)
    assert (tmp_path / "tell.log").read_text() == f"value tell {tmp_path}\n"


def test_exits_are_seen_without_pidfd_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    report = run_steps([shell("a", "exit 0", tmp_path), shell("b", "exit 4", tmp_path, "a")], check=False)
    assert [result.code for result in report.results.values()] == [0, 4]


def test_steps_run_in_a_thread_too(tmp_path: Path) -> None:
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(run_steps([Step("a", ["true"])], output=tmp_path)))
    thread.start()
    thread.join()
    assert reports[0].ok
