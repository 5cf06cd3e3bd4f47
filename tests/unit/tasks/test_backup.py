"""backup, restore, down: what is asked of the helper in which order, and what is never done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from builder.cli.backups import backs_up_first
from builder.core.backups import Restored
from builder.core.labels import LABEL_BASE, LABEL_HELPER_IMAGE
from builder.errors import BackupError, ConfigError, EngineError
from builder.model import RenderedFile, Secret
from builder.tasks.backup import cron_line, list_backups, set_backup_password, take_backup
from builder.tasks.lifecycle import take_down
from builder.tasks.loss import look_into
from builder.tasks.restore import discard_unused, find_unused, restore_snapshot
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import FakeEngine, World, make_container, make_image

Answers = Sequence[Mapping[str, Any]]
ENDED: Answers = ({"event": "ended"},)
ABSENT: Answers = ({"event": "failed", "command": "cat", "code": 10, "said": "Fatal: config file does not exist"},)
WRONG: Answers = ({"event": "failed", "command": "cat", "code": 12, "said": "Fatal: wrong password"},)
TAKEN = {"event": "ended", "snapshot": "a" * 64, "files": 3, "bytes": 30, "added": 3, "unreadable": [], "kept": ""}
LISTED: Answers = (
    {"event": "ended", "snapshots": [
        {"id": "a1", "time": "2026-01-01T00:00:00Z", "hostname": "my-app", "paths": ["/source/home"]},
        {"id": "a2", "time": "2026-02-01T00:00:00Z", "hostname": "my-app", "paths": ["/source/home"]},
        {"id": "b1", "time": "2026-03-01T00:00:00Z", "hostname": "other", "paths": ["/source/home"]},
    ]},
)  # fmt: skip
BACK = {"event": "ended", "differences": [], "differ": 0, "files": 3, "moved": 0, "bytes": 30}


def world(*answers: Answers, known: bool = True, place: str = "/b", volumes: bool = True) -> World:
    made = World(config=f"backup: {place}", engine=FakeEngine(pullable=("ubuntu:22.04",)))
    made.engine.volume_names = ["my-app_home", "my-app_projects"] if volumes else []
    made.engine.helper_answers = list(answers)
    made.backups.known = Secret("known") if known else None
    return made


def acts(made: World) -> list[str]:
    return [str(request["act"]) for _, request in made.engine.asked]


class Killed(BaseException):
    """SIGKILL: nothing that is to be done at the end is done."""


def kill_while_it_fills(made: World, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    asked = made.engine.ask_helper

    def ask(helper: Any, request: Any) -> Any:
        if request["act"] == "restore":
            raise Killed
        return asked(helper, request)

    with monkeypatch.context() as patch:
        patch.setattr(made.engine, "ask_helper", ask)
        patch.setattr(made.engine, "remove_volume", lambda name: None)
        with pytest.raises(Killed):
            restore(made, **options)


def restore(made: World, wanted: str = "latest", *, agreed: bool = True, **options: Any) -> tuple[Restored, bool]:
    given = {"origin": None, "beside": None, "despite": False, **options}
    return restore_snapshot(made.context(), wanted, agree=lambda restored, old: agreed, **given)


# ------------------------------------------------------------------------------------------------------ backup


def test_the_first_backup_makes_password_and_repository_and_says_to_keep_a_copy() -> None:
    made = world(ABSENT, ENDED, (TAKEN,), known=False)
    assert take_backup(made.context()).files == 3
    assert acts(made) == ["look", "make", "backup"]
    assert made.backups.known == Secret("made now")
    assert {request["password"] for _, request in made.engine.asked} == {"made now"}
    assert any("keep a copy" in text for text in made.warnings)
    take = world(ENDED, (TAKEN,))
    take_backup(take.context())
    assert acts(take) == ["look", "backup"]
    assert not any("keep a copy" in text for text in take.warnings)


def test_a_repository_of_another_machine_is_not_taken_over_with_a_new_password() -> None:
    made = world(WRONG, known=False)
    with pytest.raises(BackupError, match="their password is not on this machine") as caught:
        take_backup(made.context())
    assert made.backups.known is None
    assert caught.value.hint is not None
    assert "--set" in caught.value.hint


def test_volumes_are_read_only_and_the_helper_has_no_right_but_to_read() -> None:
    made = world(ENDED, (TAKEN,))
    take_backup(made.context())
    helper, request = made.engine.asked[1]
    assert helper.volumes == {"/source/home": "my-app_home", "/source/projects": "my-app_projects"}
    assert helper.read_only
    assert helper.capabilities == ("DAC_READ_SEARCH", "SETGID", "SETUID")
    assert not helper.network
    assert helper.folders == {"/repository": "/b"}
    assert "known" not in repr(helper), "the password stands in the container's description"
    assert (request["keep_days"], request["keep_last"]) == (90, 3)
    away = world(ENDED, (TAKEN,), place="sftp://me@nas/b")
    take_backup(away.context())
    helper, _ = away.engine.asked[1]
    assert helper.network
    assert helper.folders == {"/cache": "/cache-of-the-host"}


def test_the_image_for_restic_is_built_once() -> None:
    made = world(ENDED, (TAKEN,))
    take_backup(made.context())
    (tag,) = made.engine.built
    assert tag.startswith("devbox/backup:")
    text = made.engine.built[tag]["Dockerfile"].data.decode()
    assert "restic" in text
    made.engine.images[tag] = make_image(tag)
    made.engine.helper_answers = [ENDED, (TAKEN,)]
    take_backup(made.context())
    assert made.engine.acts.count("build") == 1


def test_earlier_images_for_restic_go_when_a_new_one_is_built() -> None:
    made = world(ENDED, (TAKEN,))
    for tag, base in (("old", "ubuntu-22.04"), ("another", "debian-12")):
        image = make_image(f"devbox/backup:{tag}", {LABEL_HELPER_IMAGE: "backup", LABEL_BASE: base})
        made.engine.images[f"devbox/backup:{tag}"] = image
    take_backup(made.context())
    (new,) = made.engine.built
    assert f'LABEL {LABEL_HELPER_IMAGE}="backup" {LABEL_BASE}="ubuntu-22.04"' in (
        made.engine.built[new]["Dockerfile"].data.decode()
    )
    there = {name for name in made.engine.images if name.startswith("devbox/backup:")}
    assert there == {new, "devbox/backup:another"}


def test_another_password_does_not_lose_the_one_of_before() -> None:
    made = world()
    set_backup_password(made.context(), "my-app", "typed wrongly")
    assert made.backups.known == Secret("typed wrongly")
    assert any("password of before is kept" in text for text in made.notes)
    made.events.clear()
    set_backup_password(made.context(), "my-app", "typed wrongly")
    assert made.notes == []


def test_a_backup_that_lacks_files_is_made_and_no_success() -> None:
    made = world(ENDED, ({**TAKEN, "unreadable": [f"home/{number}\n" for number in range(30)]},))
    with pytest.raises(BackupError, match="snapshot aaaaaaaa is made, but lacks") as caught:
        take_backup(made.context())
    assert caught.value.detail is not None
    assert caught.value.detail.splitlines()[0] == r"home/0\n"
    assert caught.value.detail.splitlines()[-1] == "and 10 more"


def test_old_backups_that_cannot_go_are_said_and_no_failure() -> None:
    made = world(ENDED, ({**TAKEN, "kept": "already locked by PID 7"},))
    take_backup(made.context())
    assert any("already locked by PID 7" in text for text in made.warnings)


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ("", ConfigError, "no place for backups is set"),
        ("backup: {to: /b, volumes: [hom]}", ConfigError, "there is no volume 'hom'"),
    ],
)
def test_what_cannot_be_meant_is_told(config: str, error: type[Exception], said: str) -> None:
    made = world()
    made.config = config
    with pytest.raises(error, match=said):
        take_backup(made.context())


def test_without_volumes_there_is_nothing_to_back_up() -> None:
    with pytest.raises(EngineError, match="has no volumes yet"):
        take_backup(world(volumes=False).context())


def test_a_helper_that_ends_without_a_word_is_an_error() -> None:
    with pytest.raises(BackupError, match="ended before its work was done"):
        take_backup(world(()).context())


def test_backups_of_others_are_listed_when_asked_for() -> None:
    assert [item.id for item in list_backups(world(LISTED).context())] == ["a1", "a2"]
    assert [item.id for item in list_backups(world(LISTED).context(), everyone=True)] == ["a1", "a2", "b1"]
    with pytest.raises(BackupError, match="the password of the backups is not on this machine"):
        list_backups(world(known=False).context())


def test_a_folder_of_this_machine_is_no_place_for_volumes_of_another_one() -> None:
    made = world()
    made.engine.there = "far"
    with pytest.raises(BackupError, match="the volumes are on far"):
        take_backup(made.context())
    assert made.engine.acts == []


def test_from_another_machine_a_bucket_is_reached_without_this_machines_cache() -> None:
    made = world(ENDED, (TAKEN,), place="s3:https://s3.example/bucket")
    take_backup(made.context())
    assert any(helper.folders for helper, _ in made.engine.asked)
    made = world(ENDED, (TAKEN,), place="s3:https://s3.example/bucket")
    made.engine.there = "far"
    take_backup(made.context())
    assert not any(helper.folders or request["cache"] for helper, request in made.engine.asked)


def test_a_line_of_crontab_takes_any_folder() -> None:
    line = cron_line(["/usr/bin/python3", "-m", "builder"], "/home/me/100% mine", "my-app")
    assert line.endswith(r"""3 * * * /usr/bin/python3 -m builder -C '/home/me/100\% mine' --log quiet backup""")


# ----------------------------------------------------------------------------------------------------- restore


def test_a_restore_fills_new_volumes_and_then_points_to_them() -> None:
    made = world(LISTED, (BACK,))
    made.engine.containers["my-app"] = make_container()
    restored, agreed = restore(made)
    assert agreed
    assert restored.snapshot.id == "a2"
    assert made.engine.acts[-3:] == ["make volume my-app_home_2026-1", "stop id-my-app", "remove id-my-app"]
    assert made.backups.names == {"home": "my-app_home_2026-1"}
    assert "my-app_home" in made.engine.volume_names, "the old data went"
    assert find_unused(made.context(), "my-app") == ("my-app_home",)


def test_nothing_is_touched_when_it_is_not_agreed_to() -> None:
    made = world(LISTED, (BACK,))
    made.engine.containers["my-app"] = make_container()
    assert restore(made, agreed=False)[1] is False
    assert made.backups.names == {}
    assert made.engine.volume_names == ["my-app_home", "my-app_projects"]
    assert "stop id-my-app" not in made.engine.acts


def test_what_differs_is_named_and_replaces_nothing() -> None:
    differs = {**BACK, "differ": 2, "differences": [["home/a\nb", "is missing"], ["home/c", "mode is 1, was 2"]]}
    made = world(LISTED, (differs,))
    with pytest.raises(BackupError, match="is not what was backed up") as caught:
        restore(made)
    assert caught.value.detail == "home/a\\nb: is missing\nhome/c: mode is 1, was 2"
    assert made.engine.volume_names == ["my-app_home", "my-app_projects"]
    taken = world(LISTED, (differs,))
    assert restore(taken, despite=True)[1]
    assert any("with differences: 2" in text for text in taken.warnings)


def test_a_restore_that_fails_leaves_no_volume_of_its_own_and_all_others() -> None:
    made = world(
        LISTED, ({"event": "failed", "command": "restore", "code": 1, "said": "ciphertext verification failed"},)
    )
    with pytest.raises(BackupError, match="it is damaged"):
        restore(made)
    assert made.engine.volume_names == ["my-app_home", "my-app_projects"]


def test_a_volume_of_somebody_else_is_never_removed() -> None:
    """It has the name that would be taken, and another's label, so that it is not in the list."""
    made = world(LISTED, (BACK,), volumes=False)
    made.engine.volume_names = ["my-app_home_2026-1"]
    made.engine.volumes = lambda project: ()  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="there is a volume my-app_home_2026-1 already"):
        restore(made)
    assert made.engine.volume_names == ["my-app_home_2026-1"]


def test_on_a_new_machine_nobody_is_asked_since_nothing_is_replaced() -> None:
    made = world(LISTED, (BACK,), volumes=False)
    assert restore(made, agreed=False)[1]
    assert made.engine.volume_names == ["my-app_home_2026-1"]
    assert made.backups.names == {"home": "my-app_home_2026-1"}


def test_a_first_restore_that_is_killed_leaves_nothing_that_up_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(LISTED, volumes=False)
    kill_while_it_fills(made, monkeypatch)
    assert made.engine.volume_names == ["my-app_home_2026-1"]
    taken = bring_up(made.context(), fingerprint="f").spec.volumes
    assert "my-app_home_2026-1" not in {volume.name for volume in taken}
    assert find_unused(made.context(), "my-app") == ("my-app_home_2026-1",)


def test_what_would_be_replaced_can_be_refused_before_the_long_work() -> None:
    def refuse(old: Mapping[str, str]) -> None:
        raise ConfigError(f"this would take the place of {', '.join(old.values())}")

    made = world(LISTED)
    with pytest.raises(ConfigError, match="the place of my-app_home"):
        restore(made, before=refuse)
    assert acts(made) == ["list"]
    assert made.engine.volume_names == ["my-app_home", "my-app_projects"]


def test_after_a_restore_no_file_names_the_volumes_of_before() -> None:
    made = world(LISTED, (BACK,))
    made.workspace.tree = {"compose.yaml": RenderedFile(data=b"my-app_home"), "Dockerfile": RenderedFile(data=b"")}
    restore(made)
    assert set(made.workspace.tree) == {"Dockerfile"}


def test_beside_replaces_nothing() -> None:
    made = world(LISTED, (BACK,))
    restore(made, beside="second", agreed=False)
    assert made.engine.volume_names == ["my-app_home", "my-app_projects", "second_home"]
    assert made.backups.names == {}
    again = world(LISTED, (BACK,))
    again.engine.volume_names.append("second_home")
    with pytest.raises(BackupError, match="there is a volume second_home already"):
        restore(again, beside="second")


def in_its_own_folder(made: World, name: str) -> World:
    """Another folder, of that name, on the same engine."""
    made.config = f"name: {name}\nbackup: /b"
    made.workspace = replace(made.workspace, folder="/home/me/elsewhere")
    return made


def test_what_was_restored_beside_belongs_to_the_first_folder_of_that_name_from_then_on() -> None:
    made = world(LISTED, (BACK,))
    restore(made, beside="second", agreed=False)
    other = in_its_own_folder(made, "second")
    assert "second_home" in {volume.name for volume in bring_up(other.context(), fingerprint="f").spec.volumes}
    assert [note for note in other.notes if note.endswith("of this folder from now on")]
    assert "second_taken" not in find_unused(other.context(), "second")
    take_down(other.context(), "second")
    third = replace(other, workspace=replace(other.workspace, folder="/home/you/second"))
    with pytest.raises(EngineError, match="second_taken belongs to another folder, /home/me/elsewhere"):
        bring_up(third.context(), fingerprint="f")
    bring_up(other.context(), fingerprint="f")
    take_down(other.context(), "second", volumes=other.engine.volumes("second"))
    assert other.engine.volumes("second") == ()


def test_a_restore_beside_that_is_killed_is_used_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(LISTED)
    kill_while_it_fills(made, monkeypatch, beside="second")
    left = ("second_home_unfinished", "second_home")
    assert made.engine.volumes("second") == left
    made.engine.helper_answers = [LISTED]
    with pytest.raises(BackupError, match="was cut off, or still runs") as caught:
        restore(made, beside="second")
    assert "docker volume rm second_home second_home_unfinished" in (caught.value.hint or "")
    other = in_its_own_folder(made, "second")
    for use in (lambda: bring_up(other.context(), fingerprint="f"), lambda: take_backup(other.context())):
        with pytest.raises(EngineError, match="the volume second_home is not whole"):
            use()
    assert "second_home_unfinished" not in find_unused(other.context(), "second"), "without its mark it would be used"
    take_down(other.context(), "second", volumes=left)
    bring_up(other.context(), fingerprint="f")


def test_a_restore_beside_that_fails_leaves_neither_volume_nor_mark() -> None:
    made = world(LISTED, ({"event": "failed", "command": "restore", "code": 1, "said": "unexpected eof"},))
    with pytest.raises(BackupError, match="it is damaged"):
        restore(made, beside="second")
    assert made.engine.volumes("second") == ()


@pytest.mark.parametrize(
    ("wanted", "origin", "found"),
    [("latest", None, "a2"), ("latest", "other", "b1"), ("a1", None, "a1"), ("b", None, "b1")],
)
def test_a_snapshot_is_found(wanted: str, origin: str | None, found: str) -> None:
    assert restore(world(LISTED, (BACK,)), wanted, origin=origin)[0].snapshot.id == found


@pytest.mark.parametrize(
    ("wanted", "origin", "said"),
    [("latest", "nobody", "there is no backup of nobody"), ("a", None, "2 snapshots begin so"), ("c", None, "no such")],
)
def test_a_snapshot_that_is_not_there_or_not_one_is_told(wanted: str, origin: str | None, said: str) -> None:
    made = world(LISTED)
    with pytest.raises(BackupError, match=said):
        restore(made, wanted, origin=origin)
    assert made.engine.volume_names == ["my-app_home", "my-app_projects"]


def test_the_next_container_takes_the_restored_volumes_and_the_next_backup_too() -> None:
    made = world(ENDED, (TAKEN,))
    made.backups.names = {"home": "my-app_home_2026-1"}
    made.engine.volume_names.append("my-app_home_2026-1")
    take_backup(made.context())
    assert made.engine.asked[1][0].volumes["/source/home"] == "my-app_home_2026-1"


def test_only_what_is_not_in_use_is_discarded() -> None:
    made = world()
    made.backups.names = {"home": "my-app_home_2026-1"}
    made.engine.volume_names.append("my-app_home_2026-1")
    with pytest.raises(EngineError, match="is in use"):
        discard_unused(made.context(), "my-app", ["my-app_home_2026-1"])
    discard_unused(made.context(), "my-app", ["my-app_home"])
    assert made.engine.volume_names == ["my-app_projects", "my-app_home_2026-1"]


# -------------------------------------------------------------------------------------------------------- down


def test_volumes_that_are_gone_are_in_use_no_more() -> None:
    made = world()
    made.backups.names = {"home": "my-app_home_2026-1"}
    made.engine.volume_names.append("my-app_home_2026-1")
    take_down(made.context(), "my-app", volumes=("my-app_home",))
    assert made.backups.names == {"home": "my-app_home_2026-1"}
    take_down(made.context(), "my-app", volumes=("my-app_home_2026-1",))
    assert made.backups.names == {}


def test_where_only_volumes_of_before_are_left_there_is_nothing_to_back_up_first() -> None:
    made = world()
    made.engine.volume_names = ["my-app_home_2026-1"]
    assert backs_up_first(made.context(), ("my-app_home_2026-1",), wanted=True) is False
    assert "not in the backup: my-app_home_2026-1" in made.warnings
    made.engine.volume_names.append("my-app_home")
    assert backs_up_first(made.context(), ("my-app_home",), wanted=True) is True


def test_what_is_about_to_be_lost_is_shown() -> None:
    told = {"my-app_home": {"bytes": 2_500_000, "files": 7, "top": [".config", "note"]}}
    made = world(({"event": "ended", "volumes": told},))
    made.engine.containers["my-app"] = replace(make_container(), image_id="sha256:x")
    found = look_into(made.context(), "my-app", ["my-app_home"])
    assert str(found["my-app_home"]) == "2.5 MB in 7 files: .config, note"
    assert made.engine.asked[0][0].read_only
    assert look_into(world().context(), "my-app", ["my-app_home"]) == {}
