"""What restic is told, and what is made of its answers: with a script in its place, as s3 and gs need a network."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from checkpoint_stores import isolate, message, write_messages

from coditect.backups import unpacking
from coditect.backups.settings import KEEP_DAYS, find_repository, make_password, password_path
from coditect.backups.unpacking import check_store
from coditect.cli import call
from coditect.errors import StoreError, UsageError
from coditect.store import LOCKS, Store

# Notes words and environment of each call, then does as the file named like its command says.
SCRIPT = """#!/bin/sh
{ printf '%s\\n' "$*"; env | grep -E '^(RESTIC|AWS|GOOGLE)_' | sort; echo --; } >>"$SCRIPTED/calls"
if [ -e "$SCRIPTED/$1" ]; then . "$SCRIPTED/$1"; fi
"""
SUMMARY = (
    """echo '{"message_type":"summary","snapshot_id":"0123456789abcdef","""
    """"total_files_processed":4,"total_bytes_processed":2000000,"data_added":1000000}'"""
)
NO_REPOSITORY = "unable to open config file: Stat: The specified key does not exist."


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    isolate(monkeypatch.setenv, monkeypatch.delenv, tmp_path)
    scripted = tmp_path / "scripted"
    scripted.mkdir()
    (scripted / "restic").write_text(SCRIPT)
    (scripted / "restic").chmod(0o755)
    (scripted / "backup").write_text(SUMMARY)
    monkeypatch.setenv("PATH", str(scripted), prepend=":")
    monkeypatch.setenv("SCRIPTED", str(scripted))
    monkeypatch.setenv("CODITECT_STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    write_messages(store, [message("a")])
    return store


def script(tmp_path: Path, command: str, text: str) -> None:
    (tmp_path / "scripted" / command).write_text(text)


def read_words(tmp_path: Path) -> list[str]:
    text = (tmp_path / "scripted" / "calls").read_text()
    return [block.lstrip("\n").splitlines()[0].split()[0] for block in text.split("\n--\n") if block.strip()]


@pytest.mark.parametrize("address", ["s3:s3.amazonaws.com/bucket/path", "gs:bucket:/path", "rest:https://example.org/"])
def test_addresses_and_credentials_pass_through_and_the_password_is_never_a_word(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("GOOGLE_PROJECT_ID", "project")
    monkeypatch.setenv("RESTIC_REPOSITORY_FILE", "/another/of/the/user")
    assert call(["backup", "--to", address]) == 0
    text = (tmp_path / "scripted" / "calls").read_text()
    password = password_path({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    for line in ("AWS_ACCESS_KEY_ID=key", "GOOGLE_PROJECT_ID=project", f"RESTIC_REPOSITORY={address}"):
        assert text.count(line + "\n") == 2  # backup and forget
    assert text.count(f"RESTIC_PASSWORD_FILE={password}\n") == 2
    assert "RESTIC_REPOSITORY_FILE" not in text
    assert password.read_text().strip() not in text


def test_old_snapshots_go_after_90_days_but_never_the_last_three(store: Store, tmp_path: Path) -> None:
    assert call(["backup", "--to", "s3:host/bucket"]) == 0
    text = (tmp_path / "scripted" / "calls").read_text()
    expected = "forget --quiet --tag coditect --group-by host,paths --keep-within 90d --keep-last 3 --prune\n"
    assert expected in text
    assert call(["backup", "--to", "s3:host/bucket", "--keep-days", "7"]) == 0
    assert "--keep-within 7d " in (tmp_path / "scripted" / "calls").read_text()
    assert call(["backup", "--to", "s3:host/bucket", "--keep-days", "0"]) == 2


@pytest.mark.parametrize("variable", ["RESTIC_PASSWORD_COMMAND", "RESTIC_PASSWORD"])
def test_a_password_of_the_user_is_taken_and_none_is_made(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "theirs")
    assert call(["backup", "--to", "s3:host/bucket"]) == 0
    text = (tmp_path / "scripted" / "calls").read_text()
    assert f"{variable}=theirs" in text
    assert "RESTIC_PASSWORD_FILE" not in text
    assert not (tmp_path / "config").exists()


def test_the_first_use_makes_the_repository(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "scripted" / "made"
    script(tmp_path, "backup", f"if [ -e {made} ]; then {SUMMARY}; else echo 'Fatal: {NO_REPOSITORY}' >&2; exit 1; fi")
    script(tmp_path, "init", f"touch {made}")
    assert call(["backup", "--to", "rest:https://ada:secret@example.org/"]) == 0
    said = capsys.readouterr()
    assert read_words(tmp_path) == ["backup", "init", "backup", "forget"]
    assert "made a new repository: rest:https://***@example.org/" in said.err
    assert "secret" not in said.out + said.err


ANSWERS = {
    "Fatal: wrong password or no key found": "the password does not open",
    "Fatal: unable to open config file: Get http://h/: dial tcp: lookup h: no such host": "cannot be reached",
    "Fatal: unable to open config file: Access Denied.": "access to the repository was refused",
    "Save failed: write: no space left on device": "no room is left",
    "Fatal: /home/ada/password does not exist": "restic backup: Fatal",
    "Fatal: of another kind": "restic backup: Fatal: of another kind",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_errors_of_restic_are_said_in_our_words(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "x")
    script(tmp_path, "backup", f"echo '{answer}' >&2; exit 1")
    assert call(["backup", "--to", "s3:host/bucket"]) == 3
    assert ANSWERS[answer] in capsys.readouterr().err
    assert read_words(tmp_path) == ["backup"]
    assert not list(store.storage.glob("*.backup"))


def test_a_repository_made_on_another_machine_gets_no_new_password(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path, "backup", "echo 'Fatal: wrong password or no key found' >&2; exit 1")
    assert call(["backup", "--to", "s3:host/bucket"]) == 3
    assert "its password is not on this machine" in capsys.readouterr().err
    assert not password_path({"XDG_CONFIG_HOME": str(tmp_path / "config")}).exists()


def test_since_restic_0_17_the_exit_code_tells(store: Store, tmp_path: Path) -> None:
    script(tmp_path, "backup", f"if [ -e {tmp_path}/made ]; then {SUMMARY}; else exit 10; fi")
    script(tmp_path, "init", f"touch {tmp_path}/made")
    assert call(["backup", "--to", "s3:host/bucket"]) == 0


def test_files_that_could_not_be_read_are_no_success(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path, "backup", f"{SUMMARY}; echo 'error: unified_messages.jsonl: input/output error' >&2; exit 3")
    assert call(["backup", "--to", "s3:host/bucket"]) == 3
    assert "some files could not be read" in capsys.readouterr().err


def test_a_lock_of_a_killed_restic_is_removed_once_and_a_live_one_is_told(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = "echo 'Fatal: unable to create lock in backend: repository is already locked by PID 5' >&2; exit 1"
    script(tmp_path, "forget", locked)
    assert call(["backup", "--to", "s3:host/bucket"]) == 3
    said = capsys.readouterr()
    assert "snapshot 01234567:" in said.out
    assert "snapshot 01234567 is stored, but old ones could not be removed: the repository is locked" in said.err
    assert read_words(tmp_path) == ["backup", "forget", "unlock", "forget"]


def test_while_restic_tries_again_that_is_said(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path, "backup", f"echo 'Save(<data>) returned error, retrying after 1s: timeout' >&2; {SUMMARY}")
    assert call(["backup", "--to", "s3:host/bucket"]) == 0
    assert "restic: Save(<data>) returned error, retrying" in capsys.readouterr().err


def test_the_store_is_locked_while_the_snapshot_is_taken(store: Store, tmp_path: Path) -> None:
    lock = store.storage / ".lock"
    script(
        tmp_path,
        "backup",
        f"flock --nonblock '{lock}' true && touch {tmp_path}/free; ls context-storage >{tmp_path}/seen; {SUMMARY}",
    )
    assert call(["backup", "--to", "s3:host/bucket"]) == 0
    assert not (tmp_path / "free").exists()
    assert "unified_index.sqlite.backup" in (tmp_path / "seen").read_text().splitlines()


def test_a_restore_holds_every_lock_while_it_moves_files(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(["checkpoint", "create", "one"])
    fresh = Store(tmp_path / "fresh")
    write_messages(fresh, [message("b")])
    locks = [*(store.storage / name for name in LOCKS), store.memory / ".git" / "coditect.lock"]
    with ExitStack() as files:
        opened = [files.enter_context(path.open("a")) for path in locks]
        free: list[str] = []
        move = unpacking._move

        def watch(path: Path, to: Path) -> None:
            for file in opened:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    free.append(file.name)
            move(path, to)

        monkeypatch.setattr(unpacking, "_move", watch)
        old = unpacking.put_in_place(fresh, store)
    assert free == []
    assert old
    assert (old / "memory").is_dir()


def test_without_restic_the_error_says_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call(["backup", "--to", "s3:host/bucket"]) == 5
    assert "install the package restic" in capsys.readouterr().err


def test_the_repository_comes_from_the_option_the_environment_or_the_settings(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    with pytest.raises(UsageError, match="no repository is given"):
        find_repository(store, None, {})
    (store.root / "backup.yaml").write_text(f"repository: gs:b:/\nkeep_days: {KEEP_DAYS}\n")
    assert find_repository(store, None, {}) == "gs:b:/"
    assert find_repository(store, None, {"CODITECT_BACKUP": "s3:h/b"}) == "s3:h/b"
    assert find_repository(store, "sftp:h:/b", {"CODITECT_BACKUP": "s3:h/b"}) == "sftp:h:/b"


def test_a_local_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("backups", "local:backups", "store/../backups"):
        assert find_repository(Store(tmp_path / "store"), given, {}) == str(tmp_path / "backups")


@pytest.mark.parametrize("inside", ["store", "store/backups"])
def test_a_repository_inside_the_store_is_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(UsageError, match="lost with it"):
        find_repository(Store(tmp_path / "store"), str(tmp_path / inside), {})


@pytest.mark.parametrize("text", ["repository: [", "- a", "repo: x", "repository: 5", "keep_days: true"])
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "backup.yaml").write_text(text)
    with pytest.raises(UsageError):
        find_repository(Store(tmp_path), None, {})


def test_a_password_is_made_once(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    make_password(environment)
    first = password_path(environment).read_text()
    make_password(environment)
    assert password_path(environment).read_text() == first
    assert len(first.strip()) >= 40
    assert [path.name for path in password_path(environment).parent.iterdir()] == ["backup-password"]


def test_a_password_that_others_can_read_is_refused(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_password({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    password_path({"XDG_CONFIG_HOME": str(tmp_path / "config")}).chmod(0o644)
    assert call(["backup", "--to", "s3:host/bucket"]) == 3
    assert "chmod 600" in capsys.readouterr().err


def damage_messages(store: Store) -> None:
    store.messages.write_bytes(b"")


def damage_index(store: Store) -> None:
    store.index.write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def damage_memory(store: Store) -> None:
    call(["checkpoint", "create", "one"])
    for path in (store.memory / ".git" / "objects").glob("??/*"):
        path.unlink()


@pytest.mark.parametrize("damage", [damage_messages, damage_index, damage_memory])
def test_what_came_damaged_is_not_put_in_place(store: Store, damage: Callable[[Store], None]) -> None:
    check_store(store)
    damage(store)
    with pytest.raises(StoreError):
        check_store(store)


def test_a_memory_that_is_no_repository_yet_is_no_damage(store: Store) -> None:
    store.memory.mkdir()
    (store.memory / "notes.md").write_text("mine\n")
    assert check_store(store) == store.committed() > 0


def test_a_snapshot_that_is_damaged_leaves_the_store_as_it_was(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "x")
    broken = (
        "mkdir -p $target/context-storage $target/memory; echo x >$target/context-storage/unified_index.sqlite.backup"
    )
    script(tmp_path, "restore", f'while [ "$1" != --target ]; do shift; done; target=$2; {broken}')
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    assert call(["restore", "--from", "s3:host/bucket", "--yes"]) == 3
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before


def test_backup_of_nothing_is_refused(store: Store, tmp_path: Path) -> None:
    assert call(["backup", "--to", "s3:h/b", "--store", str(tmp_path / "nothing")]) == 3
    assert not (tmp_path / "nothing").exists()
