"""`devbox diagnose` where next to nothing works: an archive all the same, and nobody's secret or name in it."""

from __future__ import annotations

import getpass
import json
import socket
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.adapters.engine import connection
from builder.cli import app, run
from builder.tasks import doctor

SECRET = "geheim-7f3a"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    code: int
    out: str
    file: Path

    @property
    def parts(self) -> dict[str, str]:
        with tarfile.open(self.file) as archive:
            files = [item for item in archive if item.isfile()]
            return {item.name: (archive.extractfile(item) or self.file.open("rb")).read().decode() for item in files}


class Devbox:
    """The command in this process, in a folder and home of its own, with no engine."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.folder, self._capsys = home, home / "my-app", capsys
        self.folder.mkdir(parents=True)

    def __call__(self, *words: str) -> int:
        return run(lambda: app(["-C", str(self.folder), *words], prog_name="devbox", standalone_mode=False))

    def diagnose(self) -> Diagnosis:
        self._capsys.readouterr()
        file = self.home / "found.tar.gz"
        code = self("diagnose", str(file))
        return Diagnosis(code, self._capsys.readouterr().out, file)


@pytest.fixture
def devbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Devbox:
    home = tmp_path / "somebody"
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(doctor, "examine", lambda context, look: [])  # it would ask PyPI
    return Devbox(home, capsys)


def test_without_engine_and_workstation_each_missing_part_is_a_line_with_the_reason(devbox: Devbox) -> None:
    found = devbox.diagnose()

    assert (found.code, found.file.stat().st_mode & 0o777) == (0, 0o600)
    assert {"README.txt", "versions.json", "config/explained.json", "plan.json"} <= set(found.parts)
    told = dict(line.split(": ", 1) for line in found.parts["README.txt"].splitlines() if ": " in line)
    for name in ("engine/container.json", "logs/container.txt", "inside/ready.json"):
        assert told[name].startswith("DOCKER_HOST: no engine: there is no socket ")
        assert name in found.out
    assert told["config/devbox.yaml"].startswith("devbox.yaml: there is none")


@pytest.mark.parametrize("broken", ["base: [", "nmae: x", "\x00", "a: &a [*a]"])
def test_a_broken_devbox_yaml_is_in_it_as_it_is(broken: str, devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").write_text(broken)

    parts = devbox.diagnose().parts

    assert parts["config/devbox.yaml"] == broken
    assert "config/explained.json" not in parts
    assert "\nconfig/explained.json: " in parts["README.txt"]
    assert json.loads(parts["versions.json"])["kernel"]


def test_a_devbox_yaml_that_nobody_can_read_hinders_no_other_part(devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").mkdir()

    parts = devbox.diagnose().parts

    assert "\nconfig/devbox.yaml: " in parts["README.txt"]
    assert {"versions.json"} <= set(parts)


def test_half_written_files_of_the_workspace_are_in_it(devbox: Devbox) -> None:
    folder = devbox.folder / ".workstation"
    folder.mkdir()
    (folder / "state.json").write_text('{"format": 1, "po')
    (folder / "link").symlink_to("/etc/passwd")

    parts = devbox.diagnose().parts

    assert parts["workspace/state.json"] == '{"format": 1, "po'
    assert "workspace/link" not in parts


def test_the_last_runs_are_in_it_with_their_events_and_ends(devbox: Devbox) -> None:
    assert devbox("stop") == 5
    (devbox.folder / "devbox.yaml").write_text("nmae: x")
    assert devbox("up") == 2

    parts = devbox.diagnose().parts

    runs = [text for name, text in sorted(parts.items()) if name.startswith("runs/")]
    lines = [[json.loads(line) for line in text.splitlines()] for text in runs]
    assert [(run[0]["verb"], run[-1]["event"], run[-1]["code"]) for run in lines] == [
        ("stop", "Ended", 5), ("up", "Ended", 2)
    ]  # fmt: skip
    assert "did you mean `name`?" in lines[1][-1]["text"]


def test_what_is_planted_is_found_nowhere(devbox: Devbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}-proxy@proxy.invalid:1")
    monkeypatch.setenv("DEVBOX_API_TOKEN", f"{SECRET}-token")
    (devbox.home / ".npmrc").write_text(f"//npm.invalid/:_authToken={SECRET}-npm\n")
    secrets = devbox.home / "xdg_state_home/devbox/my-app-0/secrets"
    secrets.mkdir(parents=True)
    (secrets / "vnc-password").write_text("xK7pQ2mZ\n")
    said = f"{SECRET}-proxy {SECRET}-npm {SECRET}-token xK7pQ2mZ of {getpass.getuser()} in {devbox.home}/x"
    (devbox.folder / "devbox.yaml").write_text(f"environment: {{NOTE: '{said}', MY_PASSWORD: '{SECRET}-own'}}\n")
    workspace = devbox.folder / ".workstation"
    workspace.mkdir()
    (workspace / "state.json").write_text(f"{said} {SECRET}-own")

    found = devbox.diagnose()

    text = "\n".join(found.parts.values())
    for secret in (SECRET, "xK7pQ2mZ"):
        assert secret not in text + found.out, secret
    assert str(devbox.home) not in text
    assert "*** *** *** *** of " in found.parts["workspace/state.json"]
    assert found.parts["workspace/state.json"].endswith("in ~/x ***")


def test_a_key_for_the_inside_and_one_of_the_shell_are_found_nowhere(
    devbox: Devbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"sk-{SECRET}")
    config = f"""environment:
      OPENAI_API_KEY: 3f9a-{SECRET}
      SERVICE_CREDENTIAL: '7e1c {SECRET}'
      DB_PASSWORD: "correct horse {SECRET}"
      NOTE: claude --key sk-{SECRET}, a correct one
    """
    (devbox.folder / "devbox.yaml").write_text(config)

    parts = devbox.diagnose().parts

    assert SECRET not in "\n".join(parts.values())
    assert "NOTE: claude --key ***, a correct one" in parts["config/devbox.yaml"]
    assert "environment.DB_PASSWORD" in parts["config/explained.json"]


def test_an_engine_that_never_answers_is_waited_for_once(
    devbox: Devbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 1.0)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/mute.sock")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(f"{tmp_path}/mute.sock")
        mute.listen(64)
        began = time.monotonic()
        found = devbox.diagnose()

    assert time.monotonic() - began < 5
    assert found.parts["README.txt"].count("accepts connections and does not answer") > 10


def test_the_same_names_each_time(devbox: Devbox) -> None:
    first = list(devbox.diagnose().parts)

    assert list(devbox.diagnose().parts) == first == sorted(first)
