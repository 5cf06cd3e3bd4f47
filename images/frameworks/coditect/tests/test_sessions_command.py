"""`coditect sessions` as a person or a service uses it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
from pathlib import Path

import pytest
from sessions_oracle import kept, settle

from coditect.cli import call
from coditect.sessions.progress import Progress
from coditect.store import Store

LINES = b'{"b":1,"a":2}\n{"a":2,"b":1}\n{"a":3}\nbroken\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that the environment names, and a home of its own with one transcript."""
    monkeypatch.setenv("CODITECT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    folder = tmp_path / "claude" / "projects" / "one"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(LINES)
    (folder / "settings.json").write_text('{"role": "no transcript"}')
    settle(folder / "a.jsonl")
    return Store(tmp_path / "store")


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = call(["sessions", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_paths_the_transcripts_of_claude_code_are_read(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ask(capsys, "ingest")
    assert code == 0
    assert "2 new of 3 messages (33.3 % duplicates) in 1 files" in out
    assert "1 broken lines: coditect sessions quarantine" in err


def test_a_home_without_transcripts_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "none"))
    assert ask(capsys, "ingest", "--quiet", "--store", str(tmp_path / "store")) == (0, "", "")


def test_ingest_reports_as_json(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys, "ingest", "--json")
    report = json.loads(out)
    assert report.pop("seconds") >= 0
    assert report == {
        "files": 1, "unchanged": 0, "bytes_read": len(LINES), "messages": 3, "new": 2, "duplicates": 1,
        "quarantined": 1, "problems": [],
    }  # fmt: skip
    assert code == 0


def test_a_path_that_is_not_there_is_said_and_the_others_are_read(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ask(capsys, "ingest", str(tmp_path / "none.jsonl"), str(tmp_path / "claude"))
    assert code == 1
    assert err.startswith(f"warning: {tmp_path / 'none.jsonl'}: No such file or directory\n")
    assert "3 new" in out  # .json is read where a person asks for it


def test_pipes_unreadable_files_and_links_in_circles_stop_nothing(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.jsonl").symlink_to(folder / "itself.jsonl")
    (folder / "memory.jsonl").symlink_to("/proc/self/mem")  # opens, and cannot be read at its start
    (folder / "good.jsonl").write_bytes(b'{"a":9}\n')
    (folder / "same.jsonl").symlink_to(folder / "good.jsonl")
    (folder / os.fsdecode(b"\xff.jsonl")).write_bytes(b'{"a":9}\nbroken\n')
    code, out, err = ask(capsys, "ingest", str(folder))
    assert code == 1
    assert "1 new of 2 messages" in out
    assert [line.split(": ")[1:] for line in err.splitlines()[:3]] == [
        [str(folder / "itself.jsonl"), "Too many levels of symbolic links"],
        [str(folder / "pipe.jsonl"), "is no file"],
        [str(folder / "memory.jsonl"), "Input/output error"],
    ]
    assert "\\xff.jsonl:2: byte 8: Expecting value" in ask(capsys, "quarantine")[1]


def test_a_folder_is_read_in_the_order_of_its_names(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for name in ("c", "a/z", "b"):
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"from": name}) + "\n")
    call(["sessions", "ingest", "--quiet", str(folder)])
    assert [json.loads(line)["from"] for line in kept(store)] == ["a/z", "b", "c"]


def test_stats_add_up_over_runs(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "b.jsonl"
    other.write_bytes(b'{"a":3}\n{"a":4}\n')
    for paths in ([], [], [str(other)]):
        call(["sessions", "ingest", "--quiet", *paths])
    _, out, _ = ask(capsys, "stats", "--json")
    stats = json.loads(out)
    assert stats == json.loads(store.stats.read_text())
    del stats["updated"]
    assert stats == {
        "unique_messages": 3, "total_messages": 5, "duplicates": 2, "duplicate_share": 0.4, "quarantined": 1,
        "bytes_read": len(LINES) + 16, "bytes_kept": store.messages.stat().st_size, "sources": 2,
    }  # fmt: skip
    assert "unique messages   3\n" in ask(capsys, "stats")[1]


def test_export_writes_the_sorted_hashes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call(["sessions", "ingest", "--quiet"])
    code, out, _ = ask(capsys, "export")
    hashes = store.storage / "unified_hashes.json"
    assert (code, out.splitlines()) == (0, [str(hashes), str(store.stats)])
    assert json.loads(hashes.read_text()) == sorted(hashlib.sha256(line).hexdigest() for line in kept(store))


def test_quarantine_lists_file_line_place_reason_and_how_it_begins(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(["sessions", "ingest", "--quiet"])
    path = tmp_path / "claude" / "projects" / "one" / "a.jsonl"
    _, out, _ = ask(capsys, "quarantine")
    assert out == f"{path}:4: byte 36: Expecting value: line 1 column 1 (char 0): 'broken'\n"
    [entry] = json.loads(ask(capsys, "quarantine", "--json")[1])
    assert entry["line"] == 4


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def change(statement: str) -> object:
    def act(store: Store) -> None:
        with sqlite3.connect(store.index) as database:
            database.execute(statement)

    return act


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda store: flip(store.messages, 5), "the line is not the message"),
        (lambda store: flip(store.messages, 13), "not one line"),
        (lambda store: os.truncate(store.messages, 4), "bytes are missing at its end"),
        (lambda store: flip(store.quarantine, 12), "the line is not what was written"),
        (lambda store: store.quarantine.unlink(), "bytes are missing at its end"),
        (change("UPDATE messages SET offset = 15 WHERE offset = 14"), "said to begin at byte 15"),
        (change("DELETE FROM messages WHERE offset = 14"), "the messages end at byte 14"),
        (change("UPDATE meta SET value = 14 WHERE key = 'committed'"), "14 bytes are committed"),
        (change("DELETE FROM quarantine"), "1 lines, but 0 were written"),
    ],
)
def test_check_says_what_is_wrong(store: Store, capsys: pytest.CaptureFixture[str], damage: object, words: str) -> None:
    call(["sessions", "ingest", "--quiet"])
    assert ask(capsys, "check")[:2] == (0, "sound: 2 messages\n")
    assert callable(damage)
    damage(store)
    code, out, _ = ask(capsys, "check")
    assert code == 1
    assert words in out
    assert json.loads(ask(capsys, "check", "--json")[1])["sound"] is False


def test_check_finds_a_line_that_has_its_id_and_is_not_canonical(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    call(["sessions", "ingest", "--quiet"])
    line = b'{"b":1,"a":2}'
    store.messages.write_bytes(line + store.messages.read_bytes()[len(line) :])
    with sqlite3.connect(store.index) as database:
        database.execute("UPDATE messages SET id = ? WHERE offset = 0", (hashlib.sha256(line).digest(),))
    assert "no canonical JSON" in ask(capsys, "check")[1]


@pytest.mark.parametrize("verb", ["stats", "export", "check", "quarantine"])
def test_without_a_store_every_verb_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, err = ask(capsys, verb, "--store", str(tmp_path / "none"))
    assert (code, out) == (3, "")
    assert "there is no store here" in err
    assert "hint: coditect sessions ingest" in err
    assert not (tmp_path / "none").exists()


def test_an_index_that_is_no_database_is_an_error_with_a_hint(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call(["sessions", "ingest", "--quiet"])
    store.index.write_bytes(b"no database at all" * 100)
    for verb in ("ingest", "check"):
        code, _, err = ask(capsys, verb)
        assert code == 3
        assert str(store.storage) in err


def test_progress_shows_at_once_and_says_how_far_it_is() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress(50_000_000, 200_000_000, 1234)
    assert "25 % of 200.0 MB, 1,234 messages" in stream.getvalue()
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")
