"""Whose a throw-away is: only a process that has surely ended is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from builder.adapters.living import is_gone, this_process


def make_proc(folder: Path, *, boot: str = "b1", space: str = "pid:[1]", start: str = "700", state: str = "S") -> Path:
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    (folder / "self/ns").mkdir(parents=True)
    (folder / "self/ns/pid").symlink_to(space)
    (folder / str(os.getpid())).mkdir()
    stat = f"{os.getpid()} (a) name) {state} {' '.join('0' * 18)} {start} 0"
    (folder / f"{os.getpid()}/stat").write_text(stat)
    return folder


def test_this_process_lives() -> None:
    assert this_process()
    assert not is_gone(this_process())


def test_a_process_that_ended_is_gone() -> None:
    script = "from builder.adapters.living import this_process; print(this_process())"
    mark = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    assert is_gone(mark)


def test_another_process_with_the_same_id_is_not_taken_for_it(tmp_path: Path) -> None:
    mark = this_process(make_proc(tmp_path / "then"))

    assert not is_gone(mark, make_proc(tmp_path / "same"))
    assert is_gone(mark, make_proc(tmp_path / "later", start="900"))
    assert is_gone(mark, make_proc(tmp_path / "unreaped", state="Z"))


def test_of_another_boot_or_namespace_nothing_is_known(tmp_path: Path) -> None:
    mark = this_process(make_proc(tmp_path / "then"))

    assert not is_gone(mark, make_proc(tmp_path / "boot", boot="b2", start="900"))
    assert not is_gone(mark, make_proc(tmp_path / "space", space="pid:[2]", start="900"))


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert this_process(tmp_path / "nothing") == ""
    assert not is_gone("", tmp_path / "nothing")
    assert not is_gone("")
