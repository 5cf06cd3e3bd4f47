"""A store: its name may hold anything, who waits for it says for whom, and how a command ends that cannot use it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

import pytest

from coditect.cli import call
from coditect.errors import StoreError
from coditect.sessions.ingest import ingest
from coditect.store import Store


@pytest.mark.parametrize("name", [b"a#b", b"a?mode=rwc", b"a%41", b"a b", b"\xff\xfe"])
def test_the_folder_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    store = Store(tmp_path / os.fsdecode(name))
    source = tmp_path / "source.jsonl"
    source.write_bytes(b'{"a":1}\n')
    assert ingest(store, [source]).new == 1
    assert ingest(store, [source]).new == 0
    assert store.committed() == store.messages.stat().st_size == 8
    assert {path.name for path in tmp_path.iterdir()} == {store.root.name, "source.jsonl"}


def test_a_store_may_be_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("source.jsonl").write_bytes(b'{"a":1}\n')
    ingest(Store(Path("store")), [Path("source.jsonl")])
    assert Store(Path("store")).committed() == 8


def test_who_waits_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = fcntl.flock
    holders: list[IO[str]] = []

    def release_to_who_waits(file: IO[str], operation: int) -> None:
        if holders and not operation & fcntl.LOCK_NB:
            lock(holders[0], fcntl.LOCK_UN)
        holders.append(file)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", release_to_who_waits)
    store = Store(tmp_path)
    with store.locked("tests"), store.locked("more tests"):
        assert capsys.readouterr().err == f"waiting for process {os.getpid()}: tests\n"
    assert (store.storage / ".lock").read_text() == ""


def test_nobody_waits_for_a_lock_that_is_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with Store(tmp_path).locked("tests"):
            pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["index"], ["knowledge", "extract"], ["restore", "--from", "repository"]])
def test_a_store_that_is_a_file_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert call([*words, "--store", str(tmp_path / "file")]) == StoreError.exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'file'}")
    assert said.endswith(": Not a directory\n")


def test_settings_that_cannot_be_read_are_an_error_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CODITECT_BACKUP", raising=False)
    (tmp_path / "backup.yaml").mkdir()
    assert call(["backup", "--store", str(tmp_path)]) == StoreError.exit_code
    assert capsys.readouterr().err == f"error: {tmp_path / 'backup.yaml'}: Is a directory\n"
