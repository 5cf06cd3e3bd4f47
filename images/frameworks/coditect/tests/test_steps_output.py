"""Output of steps: kept byte for byte up to a bound, whatever it is, and legible where it is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.steps import Step, run_steps
from coditect.steps.output import TAIL_BYTES, Log, last_lines, make_legible, read_blocks, read_tail


def test_output_is_kept_byte_for_byte_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    program = "import os\nfor n in range(256): os.write(1 + n % 2, bytes([n]))"
    run_steps([Step("all", [sys.executable, "-c", program])], output=tmp_path)
    assert (tmp_path / "all.log").read_bytes() == bytes(range(256))


def test_the_last_output_before_an_exit_is_not_lost(tmp_path: Path) -> None:
    size = 3 * 2**20 + 1
    run_steps([Step("much", ["sh", "-c", f"head -c {size} /dev/zero"])], output=tmp_path)
    assert (tmp_path / "much.log").stat().st_size == size


def test_a_step_may_open_its_output_again(tmp_path: Path) -> None:
    """Scripts write to /dev/stderr; were the log the output itself, that would cut it off."""
    run_steps([Step("again", ["sh", "-c", "echo one; echo two > /dev/stderr; echo three"])], output=tmp_path)
    assert (tmp_path / "again.log").read_text() == "one\ntwo\nthree\n"


def test_endless_output_ends_with_the_timeout(tmp_path: Path) -> None:
    result = run_steps([Step("yes", ["sh", "-c", "yes | tr -d '\\n'"], timeout=2)], output=tmp_path, check=False)
    assert result.results["yes"].reason == "timed out after 2.0 s"
    assert len(read_tail(tmp_path / "yes.log", 1000)) == 1000


def test_a_log_keeps_its_beginning_and_says_where_it_stops(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", limit=10)
    for _ in range(5):
        log.write(b"123456")
    log.close()
    assert log.path.read_bytes() == b"1234561234\n[coditect: only the first 10 bytes are kept]\n"
    assert log.tail == b"123456" * 5


def test_a_log_that_cannot_be_written_fails_its_step_and_not_the_run(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "full.log").symlink_to("/dev/full")
    steps = [Step("full", ["echo", "x"]), Step("other", ["true"])]
    report = run_steps(steps, keep_going=True, output=tmp_path, check=False)
    assert report.results["full"].reason == "its output cannot be kept: No space left on device"
    assert [result.state.value for result in report.results.values()] == ["failed", "done"]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3 * TAIL_BYTES), max_size=5))
def test_the_tail_is_the_end_of_all_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    log = Log(tmp_path_factory.getbasetemp() / "tail.log")
    for part in parts:
        log.write(part)
    log.close()
    assert log.tail == b"".join(parts)[-TAIL_BYTES:] == read_tail(log.path, TAIL_BYTES)
    assert b"".join(read_blocks(log.path, 2**20)) == b"".join(parts)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_nothing_that_is_shown_can_move_the_cursor(output: bytes) -> None:
    assert all(character == "\n" or character == "\t" or character.isprintable() or character > "\x9f"
               for character in make_legible(output))  # fmt: skip


def test_colours_titles_and_progress_bars_become_plain_lines() -> None:
    output = b"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\r10 %\r\x1b[K20 %\r\nlast \xff\x00\n\n"
    assert make_legible(output) == "red\n10 %\n20 %\nlast \N{REPLACEMENT CHARACTER}\n\n"
    assert last_lines(output, 2) == ["20 %", "last \N{REPLACEMENT CHARACTER}"]
