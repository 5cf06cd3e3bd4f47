"""What devbox keeps on the disk for one person: found, told apart, and removed without a look elsewhere."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from builder.adapters.estate import Estate
from builder.adapters.places import name_folder
from builder.adapters.workspace import Workspace
from builder.errors import HostError
from builder.model import RenderedFile

MONTH_S = 31 * 86_400


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path / "state", tmp_path / "cache")


def write(path: Path, text: str = "x", *, ago_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    moment = time.time() - ago_s
    os.utime(path, (moment, moment))
    return path


def test_nothing_is_there_before_devbox_ran(estate: Estate) -> None:
    assert (estate.known(), estate.cached()) == ((), ())
    estate.remove_all(())


def test_a_workstation_is_known_by_the_place_of_its_folder(estate: Estate, tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "app"), "token": "t"}
    write(tmp_path / "state/my-app-0a1b2c3d/place.json", json.dumps(place))
    write(tmp_path / "state/my-app-0a1b2c3d/history.json", "damaged")
    write(tmp_path / "state/old-0a1b2c3d/backup-password")
    opening = write(tmp_path / "state/old-0a1b2c3d/sidecars/db/password")
    write(tmp_path / "state/runs/a.jsonl")
    (tmp_path / "state/link-0a1b2c3d").symlink_to("my-app-0a1b2c3d")
    app, old = estate.known()
    assert (app.project, app.workspace, app.there, app.images) == ("my-app", str(tmp_path / "app"), False, ())
    assert (old.workspace, old.precious) == (None, (str(tmp_path / "state/old-0a1b2c3d/backup-password"),))
    assert (app.opening, old.opening) == ((), (str(opening),))
    (tmp_path / "app").mkdir()
    assert estate.known()[0].there


def test_an_entry_of_the_cache_is_as_old_as_its_last_use(estate: Estate, tmp_path: Path) -> None:
    write(tmp_path / "cache/answers/a.json", ago_s=MONTH_S)
    write(tmp_path / "cache/trees/used/complete.json")
    write(tmp_path / "cache/trees/used/rootfs/bin/node", "y" * 10_000, ago_s=MONTH_S)
    write(tmp_path / "cache/trees/idle/complete.json", ago_s=MONTH_S)
    os.utime(tmp_path / "cache/trees/idle", (time.time(), time.time() - MONTH_S))  # listed today, and not used
    write(tmp_path / "cache/locks/held", ago_s=MONTH_S)
    write(tmp_path / "cache/scratch-1/part/x", ago_s=MONTH_S)
    found = {Path(item.path).name: item for item in estate.cached()}
    assert {name: item.idle_days for name, item in found.items()} == {"a.json": 31, "used": 0, "idle": 31}
    assert found["used"].bytes > 10_000


def test_nothing_elsewhere_is_removed(estate: Estate, tmp_path: Path) -> None:
    other = write(tmp_path / "other/file")
    for name in (str(other), str(tmp_path / "cache/../other/file"), str(tmp_path / "cache")):
        with pytest.raises(HostError, match="is none of devbox's"):
            estate.remove(name)
    (tmp_path / "cache/trees").mkdir(parents=True)
    (tmp_path / "cache/trees/link").symlink_to(tmp_path / "other")
    estate.remove(str(tmp_path / "cache/trees/link"))
    assert other.exists()


def test_all_goes_but_what_is_kept_with_the_folders_above_it(estate: Estate, tmp_path: Path) -> None:
    kept = write(tmp_path / "state/app-0a1b2c3d/backup-password")
    write(tmp_path / "state/app-0a1b2c3d/secrets/vnc-password")
    write(tmp_path / "cache/trees/a/b")
    assert estate.holds(str(tmp_path / "state"), (str(kept),))
    estate.remove_all((str(kept),))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert not (tmp_path / "cache").exists()
    assert not estate.holds(str(tmp_path / "state"), (str(kept),))


def test_rendered_files_go_and_those_of_others_stay_and_are_told(estate: Estate, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write_tree({"Dockerfile": RenderedFile(data=b"FROM x")})
    notes = write(tmp_path / ".workstation/notes")
    with pytest.raises(HostError, match="notes was not written by devbox, and stays"):
        estate.clear_workspace(str(tmp_path))
    assert list((tmp_path / ".workstation").iterdir()) == [notes]
    notes.unlink()
    estate.clear_workspace(str(tmp_path))
    assert not estate.has_rendered(str(tmp_path))


def test_a_workspace_that_cannot_be_seen_counts_as_there(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden/app"
    write(tmp_path / "state/app-0a1b2c3d/place.json", json.dumps({"path": str(hidden), "token": "t"}))
    seen = os.stat

    def stat(path: os.PathLike[str] | str, **more: bool) -> os.stat_result:
        if str(path).startswith(str(hidden)):
            raise PermissionError(13, "Permission denied")
        return seen(path, **more)

    monkeypatch.setattr("os.stat", stat)
    (known,) = estate.known()
    assert known.there
    assert not estate.has_rendered(str(hidden))


def test_the_base_of_a_workspaces_lock_and_what_a_restore_wrote_are_known(estate: Estate, tmp_path: Path) -> None:
    write(tmp_path / "state/app-0a1b2c3d/place.json", json.dumps({"path": str(tmp_path / "app"), "token": "t"}))
    write(tmp_path / "state/app-0a1b2c3d/volumes.json", "{}")
    write(tmp_path / "app/devbox-lock.json", json.dumps({"base": {"image": "devbox/base:debian-12-a"}}))
    (known,) = estate.known()
    assert (known.base, known.precious) == ("devbox/base:debian-12-a", ())
    assert known.restored == (str(tmp_path / "state/app-0a1b2c3d/volumes.json"),)
    write(tmp_path / "app/devbox-lock.json", "[<<<<<<<")
    assert estate.known()[0].base == ""


def test_what_goes_while_the_cache_is_looked_at_is_not_told(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("goes", "stays"):
        write(tmp_path / f"cache/trees/{name}/complete.json")
    rglob = Path.rglob

    def gone(path: Path, pattern: str) -> list[Path]:
        return [*rglob(path, pattern), *([path / "gone"] if path.name == "goes" else [])]

    monkeypatch.setattr(Path, "rglob", gone)
    assert [Path(item.path).name for item in estate.cached()] == ["stays"]


def test_a_workspace_in_which_another_devbox_works_is_left_without_a_wait(estate: Estate, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write_tree({"Dockerfile": RenderedFile(data=b"FROM x")})
    with workspace.lock("up"), pytest.raises(HostError, match="works there"):
        estate.clear_workspace(str(tmp_path))
    assert (tmp_path / ".workstation/Dockerfile").exists()


def test_a_workspace_that_is_not_here_is_mine_by_its_secrets_and_one_of_another_user_is_theirs(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not estate.is_mine(str(tmp_path / "gone"))  # of another machine that uses this engine, for all we know
    here = tmp_path / "state" / name_folder("app", tmp_path / "gone")
    here.mkdir(parents=True)
    assert estate.is_mine(str(tmp_path / "gone"))
    here.rmdir()
    here.symlink_to("app-0a1b2c3d")  # it was moved
    assert estate.is_mine(str(tmp_path / "gone"))
    assert estate.is_mine(str(tmp_path))
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    assert not estate.is_mine(str(tmp_path))
