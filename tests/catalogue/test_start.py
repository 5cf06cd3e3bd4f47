"""The end of a start: nobody misses it, whenever he begins to wait; and what `probe wait` asks for just after it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest

LIB = Path(__file__).resolve().parents[2] / "images/rootfs/init/usr/lib/devbox"
FINISH_DONE = 125


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """As init makes it; with `finish` and `after-start`, which look at it."""
    for script in (LIB / "after-start", LIB / "services/ready/finish"):
        (tmp_path / script.name).write_text(script.read_text().replace("/run/devbox", str(tmp_path)))
    subprocess.run(["mkfifo", str(tmp_path / "starting")], check=True)
    return tmp_path


def waiting(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", str(folder / "after-start")])


def finish(folder: Path) -> None:
    assert subprocess.run(["sh", str(folder / "finish")], check=False).returncode == FINISH_DONE


def test_who_waits_for_the_end_of_the_start_goes_on_at_it_and_not_before(run_folder: Path) -> None:
    with waiting(run_folder) as early:
        with pytest.raises(subprocess.TimeoutExpired):
            early.wait(0.2)
        finish(run_folder)
        assert early.wait(5) == 0
    with waiting(run_folder) as late:
        assert late.wait(5) == 0
    finish(run_folder)  # of one whose supervisor was killed


def test_nobody_misses_the_end_of_the_start_whenever_he_begins_to_wait(run_folder: Path) -> None:
    waiters = []
    with subprocess.Popen(["sh", str(run_folder / "finish")]) as ends:
        while ends.poll() is None:
            waiters.append(waiting(run_folder))
    waiters.append(waiting(run_folder))
    for waiter in waiters:
        assert waiter.wait(5) == 0


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """In a workstation whose start is over, where one service is there and one that may come late is not."""
    spec = importlib.util.spec_from_file_location("readiness", LIB / "readiness.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec.loader.exec_module(found)
    services = tmp_path / "services"
    for name, ready in (("here", f"here lock {tmp_path}/held\n"), ("later", f"later lock {tmp_path}/free\n")):
        (services / name).mkdir(parents=True)
        (services / name / "ready").write_text(ready)
        (services / name / "deadline").write_text("30\n")
    (services / "later/late").touch()
    for name in ("held", "free"):
        (tmp_path / name).touch()
    (tmp_path / "ready.json").write_text(json.dumps({"ready": True, "phases": {"here": 0.8}, "seconds": 0.8}))
    monkeypatch.setattr(found, "SERVICES", str(services))
    monkeypatch.setattr(found, "READY_FILE", str(tmp_path / "ready.json"))
    monkeypatch.setattr(found, "find_notes", list)
    return found


@pytest.fixture
def held(tmp_path: Path, probe: ModuleType) -> object:
    file = (tmp_path / "held").open()
    probe.fcntl.flock(file, probe.fcntl.LOCK_EX)
    return file


def started(probe: ModuleType, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    start = time.clock_gettime(time.CLOCK_BOOTTIME) - seconds
    monkeypatch.setattr(probe, "start_of_pid_1", lambda: start)


@pytest.mark.usefixtures("held")
def test_who_asks_just_after_the_start_does_not_wait_for_what_may_come_late(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(probe, monkeypatch, 1)
    assert probe.main(["wait", "--timeout", "0"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"phase": "here", "seconds": 0.8}, {"ready": True, "seconds": 0.8}]


@pytest.mark.usefixtures("held")
def test_what_may_come_late_is_asked_for_once_its_time_is_over(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(probe, monkeypatch, 100)
    assert probe.main(["wait", "--timeout", "0"]) == 1
    assert "later: nobody holds" in capsys.readouterr().out


def test_what_the_start_waits_for_is_asked_for_at_once(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(probe, monkeypatch, 1)
    assert probe.main(["wait", "--timeout", "0"]) == 1
    assert "here: nobody holds" in capsys.readouterr().out


@pytest.mark.parametrize(
    "value",
    [
        {"ready": True, "seconds": 0.85, "count": 3, "none": None, "phases": {"x": 0.5, "web": 1}},
        {
            "phase": "web",
            "failed": 'it answers "HTTP/1.1 400\\r\\n"',
            "log": ["a\ttab", "", "\x1b[0m \x7f", "ü 🖥 \udce9"],
        },
    ],
)
def test_the_probe_writes_json_without_the_module_for_it(probe: ModuleType, value: object) -> None:
    told = probe.to_json(value)
    assert told.isascii()
    assert json.loads(told) == value
