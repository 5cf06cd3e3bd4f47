"""What is under way goes at the end; what a killed process left goes when the next one comes."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from builder.adapters.scratch import remove_tree, scratch_folder
from builder.errors import HostError


def test_it_is_gone_at_the_end_also_when_it_was_given_its_name(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "tmp") as work:
        (work / "file").write_text("x")
        assert work.stat().st_mode & 0o777 == 0o700
    with scratch_folder(tmp_path / "tmp") as work:
        work.rename(tmp_path / "final")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (tmp_path / "final").is_dir()


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path) as work:
        (work / "file").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []


def _work(parent: str, begun: Event) -> None:
    with scratch_folder(Path(parent), "scratch-") as work:
        (work / "half").write_text("x")
        begun.set()
        begun.wait()
        multiprocessing.Event().wait(60)


def test_what_a_killed_process_left_is_removed_by_the_next_one_and_not_before(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    other = context.Process(target=_work, args=(str(tmp_path), begun), daemon=True)
    other.start()
    assert begun.wait(20)
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())

    with scratch_folder(tmp_path, "scratch-"):
        assert (left / "half").exists()
    other.kill()
    other.join()
    with scratch_folder(tmp_path, "another-"):
        assert (left / "half").exists()
    with scratch_folder(tmp_path, "scratch-"):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_lock_or_another_owner_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "scratch-mine").mkdir()
    (tmp_path / "scratch-link.lock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "scratch-other").mkdir()
    (tmp_path / "scratch-other.lock").touch()
    if os.geteuid() == 0:
        os.chown(tmp_path / "scratch-other.lock", 12345, 12345)
    else:
        (tmp_path / "scratch-other.lock").unlink()
    before = sorted(tmp_path.iterdir())
    with scratch_folder(tmp_path, "scratch-"):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot make a folder in") as caught, scratch_folder(tmp_path / "file"):
        pass
    assert caught.value.hint is not None


def test_a_folder_with_a_mount_in_it_is_never_walked_into(tmp_path: Path) -> None:
    work = tmp_path / "my work"
    (work / "proc").mkdir(parents=True)
    table = tmp_path / "mounts"
    table.write_text(f"proc {str(work).replace(' ', chr(92) + '040')}/proc proc ro 0 0\n")
    with pytest.raises(HostError, match="still mounted"):
        remove_tree(work, table=table)
    assert (work / "proc").is_dir()
    table.write_text("")
    remove_tree(work, table=table)
    assert not work.exists()
