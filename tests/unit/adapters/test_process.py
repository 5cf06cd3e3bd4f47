"""A child's output arrives by line, and no grandchild outlives us."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.process import run_lines
from builder.errors import HostError, Interrupted


def test_lines_of_both_streams_and_the_exit_code_arrive() -> None:
    heard: list[str] = []
    code = run_lines(
        [sys.executable, "-c", "import sys; print('a\\rb'); sys.stderr.write('c'); sys.exit(3)"], on_line=heard.append
    )
    assert code == 3
    assert sorted(heard) == ["a", "b", "c"]


def test_a_missing_program_is_a_host_error() -> None:
    with pytest.raises(HostError, match="cannot start"):
        run_lines(["/nowhere/program"], on_line=print)


def test_stopping_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_lines(
            ["/bin/sh", "-c", f"sleep 60 & echo $! > {note}.new; mv {note}.new {note}; wait"],
            on_line=print,
            stopped=note.exists,
        )
    assert time.monotonic() - began < 5
    pid = int(note.read_text())

    def gone() -> bool | None:
        """Dead or a zombie: the kernel ends what was signalled when it gets to run, not at once."""
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return True if state == "Z" else None

    assert wait_for("the group to end", gone, deadline_s=5, interval_s=0.02)


def test_a_child_may_tidy_up_before_it_is_killed(tmp_path: Path) -> None:
    ready, tidied = tmp_path / "ready", tmp_path / "tidied"
    inner = f"trap 'touch {tidied}; exit' TERM; touch {ready}; while :; do sleep 0.05; done"
    with pytest.raises(Interrupted):
        run_lines(["/bin/sh", "-c", f'sh -c "{inner}" & wait'], on_line=print, stopped=ready.exists)
    assert tidied.exists()


def test_a_child_ends_when_we_are_killed(tmp_path: Path) -> None:
    """By the kernel: nobody else is left to do it."""
    note = tmp_path / "pid"
    script = (
        "from builder.adapters.process import run_lines;"
        f"run_lines(['/bin/sh', '-c', 'echo $$ > {note}.new; mv {note}.new {note}; exec sleep 60'], on_line=print)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[3]) as parent:
        wait_for("the child", lambda: note.exists() or None, deadline_s=20, interval_s=0.02)
        parent.kill()
    child = Path(f"/proc/{note.read_text().strip()}/stat")

    def gone() -> bool | None:
        try:
            return True if child.read_text().split()[2] == "Z" else None
        except (FileNotFoundError, ProcessLookupError):
            return True

    assert wait_for("it to end", gone, deadline_s=5, interval_s=0.02)
