"""Exceptions that nobody foresaw, made for real: one message, one report, never a traceback on the terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from builder.__main__ import run
from builder.model import TaskStarted
from builder.tasks import status
from builder.tasks.interfaces import Context

SECRET = "geheim-7f3a"
Verb = Callable[[Context], tuple[()]]


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def report(self) -> str:
        (path,) = re.findall(r"^report: (.+)$", self.err, re.MULTILINE)
        assert Path(path).stat().st_mode & 0o777 == 0o600
        return Path(path).read_text()


class Devbox:
    """`devbox list` in this process, with another task in the place of the verb's."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys

    def __call__(self, verb: Verb, *options: str) -> Ended:
        self._monkeypatch.setattr(status, "list_statuses", verb)
        code = run(["-C", str(self.folder), *options, "list"])
        told = self._capsys.readouterr()
        return Ended(code, told.out, told.err)


@pytest.fixture
def devbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Devbox]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # it is put back
    handler = signal.getsignal(signal.SIGTERM)
    yield Devbox(tmp_path, monkeypatch, capsys)
    signal.signal(signal.SIGTERM, handler)


def wrong(context: Context) -> NoReturn:
    raise KeyError(f"https://me:{SECRET}@x.example/")


def greedy(context: Context) -> NoReturn:
    bytearray(1 << 62)
    raise NotImplementedError


def endless(context: Context) -> NoReturn:
    endless(context)


def wordless(context: Context) -> NoReturn:
    raise AssertionError


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (wrong, "KeyError: 'https://***@x.example/'"),
        (greedy, "MemoryError"),
        (endless, "RecursionError: maximum recursion depth exceeded"),
        (wordless, "AssertionError"),
    ],
)
def test_it_ends_with_one_message_a_report_and_the_next_step(verb: Verb, message: str, devbox: Devbox) -> None:
    ended = devbox(verb)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {message}")
    assert [line.split(" ")[0] for line in ended.err.splitlines()] == ["error:", "it", "report:", "hint:"]
    assert "Traceback (most recent call last)" in ended.report
    assert f"devbox -C {devbox.folder} list" in ended.report
    assert SECRET not in ended.err + ended.report


def test_it_says_what_was_done_and_keeps_the_last_events(devbox: Devbox) -> None:
    def verb(context: Context) -> NoReturn:
        context.report(TaskStarted(name="build", text="build the image"))
        raise TypeError("x")

    ended = devbox(verb, "--log", "quiet")

    assert ended.err.splitlines()[:2] == [
        "error: TypeError: x", "it came unforeseen while `devbox list` worked: build the image"
    ]  # fmt: skip
    assert "'text': 'build the image'" in ended.report


@pytest.mark.parametrize(
    "options", [["-C", "{}"], ["-C{}"], ["--directory={}"], ["--log", "quiet", "--directory", "{}"]]
)
def test_the_secrets_of_the_folder_that_was_named_are_in_no_report(
    options: list[str], devbox: Devbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (devbox.folder / "devbox.yaml").write_text(f"environment: {{MY_API_KEY: {SECRET}}}\n")

    def verb(context: Context) -> NoReturn:
        raise ValueError(f"a word and {SECRET}")

    monkeypatch.setattr(status, "list_statuses", verb)
    assert run([*(option.format(devbox.folder) for option in options), "list"]) == 1

    err = capsys.readouterr().err
    assert "a word and ***" in err
    assert SECRET not in err + Ended(1, "", err).report


def test_in_a_thread_it_is_told_too_and_the_process_ends_with_1(devbox: Devbox) -> None:
    def inside() -> NoReturn:
        raise ValueError("in a thread")

    def verb(context: Context) -> tuple[()]:
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return ()

    ended = devbox(verb)

    assert (ended.code, ended.out) == (1, "there are no workstations; `devbox up` makes one\n")
    assert ended.err.startswith("error: ValueError: in a thread\n")
    assert "in inside\n" in ended.report


@pytest.mark.parametrize("module", ["builder.tasks.status", "builder.cli"])
def test_a_module_that_cannot_be_imported_is_told(module: str, devbox: Devbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    ended = devbox(wrong)

    assert ended.code == 1
    assert ended.err.startswith("error: ModuleNotFoundError: import of ")
    assert "ModuleNotFoundError" in ended.report


def test_it_is_told_even_if_nothing_of_a_report_can_be_imported(
    devbox: Devbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "builder.core.scrubbing", None)

    ended = devbox(wrong)

    assert ended.code == 1
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["error", "no report could be made", "hint"]
    assert SECRET not in ended.err


def test_on_request_the_traceback_is_shown_as_well(devbox: Devbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVBOX_DEBUG", "1")

    ended = devbox(wrong)

    assert "\nTraceback (most recent call last)" in ended.err
    assert SECRET not in ended.err


def test_few_reports_are_kept(devbox: Devbox) -> None:
    folder = devbox.folder / "devbox/reports"
    folder.mkdir(parents=True)
    for number in range(50):
        (folder / f"1999-{number:02}.txt").touch()

    assert devbox(wrong).report

    assert len(list(folder.iterdir())) == 20
    assert not (folder / "1999-30.txt").exists()


# ------------------------------------------------------------------------------------ in a process of its own


START = """
import sys
from builder import __main__
import builder.tasks.status as module
{verb}
module.list_statuses = verb
__main__.main()
"""


def start(folder: Path, verb: str, *words: str, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", START.format(verb=verb), "-C", str(folder), *words, "list"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, check=False, timeout=60
    )


def test_with_a_full_disk_the_message_comes_without_a_report(tmp_path: Path) -> None:
    done = start(
        tmp_path,
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\ndef verb(context): raise KeyError('x')",
    )

    assert done.returncode == 1
    assert "\nno report could be written: File too large; DEVBOX_DEBUG=1 shows the traceback here\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.txt"))


def test_a_reader_of_stderr_that_goes_away_stops_no_work(tmp_path: Path) -> None:
    verb = (
        "from builder.model import Note\n"
        "def verb(context):\n"
        "    for _ in range(3): context.report(Note(text='x' * 5000))\n"
        "    open(sys.argv[2] + '/done', 'w').close()\n"
        "    return ()\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = start(tmp_path, verb, "--log", "json", stderr=writing)
    finally:
        os.close(writing)

    assert (done.returncode, done.stdout) == (0, "there are no workstations; `devbox up` makes one\n")
    assert (tmp_path / "done").exists()
