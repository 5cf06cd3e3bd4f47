"""What this machine remembers of the world's answers: with its age, and no more than a folder full."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from builder.adapters.memo import KEPT, LockMemo
from builder.errors import HostError


def test_what_is_remembered_comes_back_with_its_age(tmp_path: Path) -> None:
    memo = LockMemo(tmp_path / "answers")
    assert memo.load("a" * 64) is None
    memo.save("a" * 64, b"x")
    then = time.time() - 7200
    os.utime(tmp_path / "answers" / f"{'a' * 64}.json", (then, then))
    found = memo.load("a" * 64)
    assert found is not None
    assert found[0] == b"x"
    assert found[1] == pytest.approx(7200, abs=60)


def test_the_oldest_go(tmp_path: Path) -> None:
    memo = LockMemo(tmp_path)
    for number in range(KEPT + 2):
        memo.save(f"{number:064x}", b"x")
        os.utime(tmp_path / f"{number:064x}.json", (number, number))
    assert memo.load(f"{0:064x}") is None
    assert memo.load(f"{KEPT:064x}") is not None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError):
        LockMemo(tmp_path / "file").save("a" * 64, b"x")
