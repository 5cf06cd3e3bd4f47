"""Backup and restore through the real restic, into a folder. s3 and gs need a network: see test_backup_words.

restic takes half a second to open a repository: one snapshot serves all tests.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkpoint_stores import isolate, message, write_messages

from coditect.backups.settings import password_path
from coditect.cli import call
from coditect.store import LOCKS, Store

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")

# A pattern, an address with marks and escapes, and a byte that is no UTF-8.
NAME = os.fsdecode(b"my [store] *?#%41\xff")

Contents = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Stored:
    """A store with one snapshot of it, and what it held at that time."""

    store: Store
    folder: Path
    contents: Contents
    out: str
    err: str


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """With a name that would be a pattern, and all that has to stay out of a snapshot."""
    folder = tmp_path_factory.mktemp("restic")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch.setenv, patch.delenv, folder)
        store = Store(folder / NAME)
        patch.setenv("CODITECT_STORE", str(store.root))
        patch.setenv("CODITECT_BACKUP", str(folder / "repository"))
        _fill(store)
        with closing(sqlite3.connect(store.index)) as reader, pytest.MonkeyPatch.context() as streams:
            # It keeps the journal: not all is in the main file yet.
            reader.execute("INSERT INTO meta VALUES('late', 1)")
            reader.commit()
            out, err = _Text(), _Text()
            streams.setattr("sys.stdout", out)
            streams.setattr("sys.stderr", err)
            assert call(["backup"]) == 0
        yield Stored(store, folder, read_contents(store.root), out.text, err.text)


class _Text:
    """What is printed while no test runs."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def _fill(store: Store) -> None:
    write_messages(store, [message("a"), message("b")], torn=b'{"torn')
    call(["checkpoint", "create", "one"])
    (store.memory / "notes.md").chmod(0o640)
    (store.memory / "before-restore-of-mine.md").write_text("a note\n")
    (store.memory / "link.md").symlink_to("notes.md")
    store.search.write_bytes(b"derived")
    (store.root / "before-restore-2020").mkdir()
    (store.root / ".restore-killed").mkdir()
    for name in LOCKS:
        (store.storage / name).write_text("process 1: of another time\n")


def read_contents(folder: Path) -> Contents:
    """Mode and bytes of all that a snapshot must hold; a database as what it says."""
    found: Contents = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(("before-restore-", ".restore-")) or path.name.startswith("search.") or path.name in LOCKS:
            continue
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as database:
                data = "\n".join(database.iterdump()).encode()
        else:
            data = b"" if path.is_dir() else path.read_bytes()
        found[name] = (path.lstat().st_mode, data)
    return {name: content for name, content in found.items() if not name.endswith(("-wal", "-shm", "coditect.lock"))}


def test_the_password_is_made_for_the_user_alone_and_only_its_place_is_said(stored: Stored) -> None:
    password = password_path({"XDG_CONFIG_HOME": str(stored.folder / "config")})
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert f"is in {password}. Keep a copy" in stored.err
    assert "worthless" in stored.err
    assert password.read_text().strip() not in stored.err + stored.out


def test_what_is_restored_is_what_was_stored(stored: Stored, tmp_path: Path) -> None:
    assert call(["restore", "--to", str(tmp_path / "other")]) == 0
    other = Store(tmp_path / "other")
    assert read_contents(other.root) == stored.contents
    assert b"late" in stored.contents["context-storage/unified_index.sqlite"][1]
    assert "memory/before-restore-of-mine.md" in stored.contents
    assert other.committed() == stored.store.committed()
    assert not other.search.exists()
    assert [path.name for path in other.root.iterdir() if path.name.startswith(("before-", ".restore-"))] == []
    assert call(["checkpoint", "restore", "one", "--store", str(other.root)]) == 0


def test_a_folder_whose_name_is_no_utf8_is_named_as_well_as_it_goes(
    stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["restore", "--to", str(tmp_path / NAME)]) == 0
    assert f"restored {tmp_path}/my [store] *?#%41?: " in capsys.readouterr().out


def test_snapshots_are_listed_with_the_password_file_of_the_user(
    stored: Stored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stored.folder / "config")
    monkeypatch.setenv("RESTIC_PASSWORD_FILE", "coditect/backup-password")
    assert call(["backup", "--list", "--json"]) == 0
    snapshots = json.loads(capsys.readouterr().out)
    assert [one["store"] for one in snapshots] == [os.fsencode(stored.store.root).decode(errors="replace")]
    assert f"snapshot {snapshots[0]['snapshot']}: " in stored.out


def test_a_store_is_only_replaced_when_told_and_then_moved_aside(
    stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    write_messages(store, [message("precious")])
    words = ["restore", "--store", str(store.root)]
    assert call(words) == 6
    assert "--yes moves what is there" in capsys.readouterr().err
    assert b"precious" in store.messages.read_bytes()
    assert call([*words, "--yes", "--json"]) == 0
    moved = Path(json.loads(capsys.readouterr().out)["moved"])
    assert not any((moved / "context-storage" / name).exists() for name in LOCKS)
    assert moved.parent == store.root
    assert b"precious" in (moved / "context-storage" / "unified_messages.jsonl").read_bytes()
    assert read_contents(store.root) == stored.contents
    assert not list(store.root.glob(".restore-*"))


def test_a_wrong_password_is_told_and_nothing_is_left(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "wrong")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert call(["restore", "--to", str(tmp_path / "new")]) == 3
    assert "the password does not open the repository" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
