"""settle, as the steps of a build call it, on a folder of a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "images/rootfs/init/usr/lib/devbox/settle"
THEN = 1_000_000_000


def settle(folder: Path, since: int) -> float:
    """Run it; the time that it gives."""
    subprocess.run([str(SCRIPT), str(since), str(folder)], check=True)
    return SCRIPT.stat().st_mtime


def test_what_was_written_since_gets_one_time_and_what_is_older_keeps_its_own(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "new").mkdir(parents=True)
    for name in ("new/file", "older", "with blank\nand line"):
        (root / name).write_text("x")
    (root / "new/link").symlink_to("nowhere")
    os.utime(root / "older", (THEN, THEN))
    even = settle(root, THEN + 1)
    times = {path.relative_to(tmp_path).as_posix(): path.lstat().st_mtime for path in (root, *root.rglob("*"))}
    assert times.pop("root/older") == THEN
    assert set(times.values()) == {even}
    assert len(times) == 5


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    os.utime(outside, (THEN, THEN))
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(outside)
    settle(tmp_path / "root", 0)
    assert outside.stat().st_mtime == THEN
