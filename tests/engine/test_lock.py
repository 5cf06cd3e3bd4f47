"""The lock against a real apt: what is in it is what is in the image, and what cannot be had any more is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import NewWorkstation, Workstation

HEADLESS = "profile: headless\nports: {dev: false}\n"
ASKED = "ask the package mirror"


@pytest.fixture(scope="module")
def locked(session_workstations: NewWorkstation) -> Workstation:
    """A workstation that runs, with the lock that its first `up` wrote."""
    workstation = session_workstations("locked-packages", HEADLESS)
    workstation.up()
    return workstation


def lock_of(workstation: Workstation) -> Path:
    return workstation.folder / "devbox-lock.json"


def test_what_is_installed_is_what_the_lock_says_and_only_what_was_asked_for_counts_as_wanted(
    locked: Workstation,
) -> None:
    told = json.loads(lock_of(locked).read_text())
    form = "${Package} ${Architecture} ${Version}\\n"
    installed = locked.inside("dpkg-query", "--show", f"--showformat={form}").splitlines()
    assert sorted(installed) == sorted(f"{p['name']} {p['architecture']} {p['version']}" for p in told["apt"])
    assert all(re.fullmatch(r"[0-9a-f]{64}", package["sha256"]) for package in told["apt"])
    manual, auto = (set(locked.inside("apt-mark", f"show{kind}").split()) for kind in ("manual", "auto"))
    (step,) = told["wanted"]["apt"]
    assert set(step["packages"]) <= manual
    assert "libjq1" in auto, "it came along with jq"


def test_another_folder_with_the_same_lock_wants_the_same_image_and_asks_nobody(
    locked: Workstation, new_workstation: NewWorkstation
) -> None:
    other = new_workstation("locked-elsewhere", HEADLESS)
    lock_of(other).write_bytes(lock_of(locked).read_bytes())
    plans = [one.run("plan", "--frozen", "--json") for one in (locked, other)]
    assert [plan.returncode for plan in plans] == [0, 0], plans[1].stderr
    images = {json.loads(plan.stdout)["image"] for plan in plans}
    assert images == {str(locked.status()["image"])}
    assert ASKED not in plans[1].stderr


def change_jq(workstation: Workstation, **values: str) -> Callable[[], None]:
    """Another word of the lock on jq; a function that takes it back."""
    before = lock_of(workstation).read_bytes()
    told: dict[str, Any] = json.loads(before)
    (package,) = [package for package in told["apt"] if package["name"] == "jq"]
    package.update(values)
    lock_of(workstation).write_text(json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n")

    def take_back() -> None:
        lock_of(workstation).write_bytes(before)

    return take_back


def test_a_version_that_no_mirror_has_ends_the_build_with_the_nearest_and_leaves_what_runs(locked: Workstation) -> None:
    version = next(p["version"] for p in json.loads(lock_of(locked).read_text())["apt"] if p["name"] == "jq")
    take_back = change_jq(locked, version="0.1-gone")
    try:
        changed = lock_of(locked).read_bytes()
        done = locked.run("up", "--frozen")
        assert done.returncode == 3, done.stderr
        found = re.search(r"no package mirror has jq 0\.1-gone any more; the nearest is (\S+)", done.stderr)
        assert found, done.stderr
        assert version.startswith(found[1].partition("+")[0])
        assert "hint: `devbox lock --update jq` takes what there is now" in done.stderr
        assert lock_of(locked).read_bytes() == changed
        assert locked.status()["state"] == "running"
    finally:
        take_back()
    assert "nothing to do" in locked.ok("up", "--frozen")


@pytest.mark.long
def test_a_package_that_is_another_one_than_that_of_the_lock_is_not_installed(locked: Workstation) -> None:
    take_back = change_jq(locked, sha256="0" * 64)
    try:
        done = locked.run("build")
        assert done.returncode == 5, done.stderr
        assert re.search(r"jq_\S+ is another one than that of the lock", done.stderr)
    finally:
        take_back()


@pytest.mark.long
def test_one_more_package_is_asked_on_top_of_what_is_there_and_the_rest_stays(locked: Workstation) -> None:
    before = json.loads(lock_of(locked).read_text())
    locked.write(f"{HEADLESS}apt: [cowsay]\n")
    try:
        assert "does not fit devbox.yaml: the package cowsay is new" in locked.run("build", "--frozen").stderr
        locked.ok("lock")
        after = json.loads(lock_of(locked).read_text())
        assert [package for package in after["apt"] if package["step"] == "apt"] == before["apt"]
        assert "cowsay" in {package["name"] for package in after["apt"]}
        locked.ok("build", "--frozen")
    finally:
        locked.write(HEADLESS)
        locked.ok("lock")
    assert json.loads(lock_of(locked).read_text()) == before
