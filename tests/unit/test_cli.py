"""The command line without an engine: verbs, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import typer
import yaml

from builder.adapters.runlog import list_runs
from builder.cli import app, run
from builder.errors import EngineError
from builder.tasks import status
from builder.tasks.interfaces import Context
from tests.unit.core.saved_images import TIME, file, make_layer, save

VERBS = (
    "init", "config", "plan", "render", "build", "up", "status", "list", "shell", "exec", "logs", "open", "password",
    "screenshot", "compare", "save", "load", "sbom", "verify", "stop", "start", "down", "backup", "backups",
    "restore", "doctor", "version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with no engine and no home behind it."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    folder = tmp_path / "my-app"
    folder.mkdir()
    return folder


class Devbox:
    """Runs a command line in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *argv: str) -> Result:
        code = run(lambda: app(["-C", str(self.folder), *argv], prog_name="devbox", standalone_mode=False))
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)


@pytest.fixture
def devbox(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Devbox:
    return Devbox(workspace, capsys)


def test_help_lists_every_verb_with_what_it_does(devbox: Devbox) -> None:
    result = devbox("--help")
    listed = dict(re.findall(r"^  (\w+)  +(\S.*)$", result.out.partition("Commands:")[2], re.MULTILINE))
    assert result.code == 0
    assert set(VERBS) <= set(listed)


@pytest.mark.parametrize("verb", ["up", "lock"])
def test_a_name_without_update_is_told_how_to_say_it_to_the_same_verb(devbox: Devbox, verb: str) -> None:
    result = devbox(verb, "git")
    assert result.code == 2
    assert "`git` needs --update" in result.err
    assert f"hint: `devbox {verb} --update git`" in result.err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(devbox: Devbox, verb: str) -> None:
    result = devbox(verb, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"devbox {verb}" in result.out


@pytest.mark.parametrize(
    "argv", [["--nope"], ["nope"], ["up", "--nope"], ["logs", "--tail", "x"], ["logs", "--tail", "-1"], ["exec"],
             ["screenshot"], ["--log", "loud", "version"], ["sbom", "--format", "x"]],
)  # fmt: skip
def test_a_wrong_command_line_is_said_with_a_hint(devbox: Devbox, argv: list[str]) -> None:
    result = devbox(*argv)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert "\nhint: " in result.err
    assert "Traceback" not in result.err


def test_a_folder_that_is_not_there(devbox: Devbox) -> None:
    devbox.folder = devbox.folder / "nowhere"
    result = devbox("status")
    assert result.code == 2
    assert "there is no such folder" in result.err


@pytest.mark.parametrize(
    "verb", ["status", "list", "up", "stop", "start", "down", "logs", "shell", "build", "screenshot"]
)
def test_without_an_engine_every_verb_says_so_and_how_to_get_one(devbox: Devbox, verb: str) -> None:
    result = devbox(verb, *(["x.png"] if verb == "screenshot" else []))
    assert (result.code, result.out) == (EngineError.exit_code, "")
    assert [line.partition(":")[0] for line in result.err.splitlines()[-2:]] == ["error", "hint"]
    assert "Traceback" not in result.err
    assert not (devbox.folder / "x.png").exists()


def test_all_mistakes_are_told_at_once_with_their_places(devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").write_text("nmae: x\nports: {vnc: 80}\ntools: [nodd]\n", encoding="utf-8")
    result = devbox("plan", "--assume")
    assert result.code == 2
    assert re.findall(r"devbox\.yaml:(\d+):\d+: ", result.err)[:2] == ["1", "2"]
    assert "did you mean `name`?" in result.err


def test_config_shows_every_default_and_is_read_back(devbox: Devbox) -> None:
    as_json, as_yaml = devbox("config", "--json"), devbox("config")
    assert as_json.code == as_yaml.code == 0
    assert yaml.safe_load(as_yaml.out) == json.loads(as_json.out)
    (devbox.folder / "devbox.yaml").write_text(as_yaml.out, encoding="utf-8")
    assert devbox("config", "--json").out == as_json.out


def test_config_explains_each_setting_and_the_exceptions_of_the_level(devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").write_text("resources:\n  memory: 2g\n", encoding="utf-8")
    text, told = devbox("config", "--explain").out, json.loads(devbox("config", "--explain", "--json").out)

    settings = {item["key"]: (item["value"], item["origin"]) for item in told["settings"]}
    assert settings["resources.memory"] == ("2g", "devbox.yaml:2")
    assert re.search(r"^resources\.memory +\"2g\" +devbox\.yaml:2$", text, re.MULTILINE)
    ids = [item["id"] for item in told["security"]["exceptions"]]
    assert (told["security"]["level"], "5.26" in ids, "5.11" in ids) == ("dev", True, False)
    assert re.findall(r"^  (\d+\.\d+) ", text, re.MULTILINE) == ids


def test_a_locked_workstation_is_without_exception(devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").write_text("security: locked\n", encoding="utf-8")

    assert devbox("config", "--explain").out.rstrip().endswith("security level locked, without exception to CIS")


def test_a_plan_is_data_on_stdout(devbox: Devbox) -> None:
    plan = json.loads(devbox("plan", "--assume", "--json").out)
    assert plan["requested_base"] == "ubuntu-22.04"
    text = devbox("plan", "--assume").out
    assert text.startswith(f"image devbox/workstation:{plan['id'][:12]}\n")
    assert len(text.splitlines()) == 1 + len(plan["steps"])


def test_render_writes_what_it_names_and_the_same_twice(devbox: Devbox) -> None:
    config = "ports: {vnc: 45901, web: 46080, ssh: 42222, dev: 43000}\n"  # free on most machines
    (devbox.folder / "devbox.yaml").write_text(config, encoding="utf-8")
    first = devbox("render", "--assume")
    files = {name: (devbox.folder / name).read_bytes() for name in first.out.split()}
    assert first.code == 0
    assert {".workstation/Dockerfile", ".workstation/compose.yaml"} <= set(files)
    assert devbox("render", "--assume").out == first.out
    assert files == {name: (devbox.folder / name).read_bytes() for name in files}


def test_init_writes_a_file_that_is_accepted_and_never_writes_over_one(devbox: Devbox) -> None:
    assert devbox("init", "--yes").code == 0
    assert devbox("config", "--json").code == 0
    before = (devbox.folder / "devbox.yaml").read_text(encoding="utf-8")
    again = devbox("init", "--yes")
    assert again.code == 2
    assert "`devbox init --force` replaces it" in again.err
    assert (devbox.folder / "devbox.yaml").read_text(encoding="utf-8") == before
    assert devbox("init", "--yes", "--force").code == 0


def test_version_is_json_on_request(devbox: Devbox) -> None:
    found = json.loads(devbox("version", "--json").out)
    assert devbox("version").out == f"devbox {found['devbox']}\n"


def test_progress_goes_to_stderr_as_json_lines_on_request(devbox: Devbox) -> None:
    result = devbox("--log", "json", "up")
    events = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    assert result.out == ""
    assert all("event" in event for event in events)


def test_an_interrupt_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt("SIGTERM")

    assert run(interrupted) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("signalled", [KeyboardInterrupt, typer.Abort])  # of a task, of a question
def test_an_interrupt_is_kept_as_one(
    signalled: type[BaseException], devbox: Devbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(context: Context) -> NoReturn:
        raise signalled

    monkeypatch.setattr(status, "list_statuses", interrupted)

    assert devbox("list") == Result(130, "", "interrupted\n")

    (path,) = list_runs(Path(os.environ["XDG_STATE_HOME"]), devbox.folder)
    ended = json.loads(path.read_text().splitlines()[-1])
    assert (ended["code"], ended["text"]) == (130, "interrupted")


def test_the_code_of_a_command_inside_comes_back() -> None:
    assert run(lambda: 7) == 7
    assert run(lambda: None) == 0


def start(*argv: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", *argv], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_a_reader_that_goes_away_is_no_failure(workspace: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = start("-C", str(workspace), "plan", "--assume", "--json", stdout=writing)
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (0, "")


def test_alone_it_shows_its_help() -> None:
    result = start(stdout=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Commands:" in result.stdout


@pytest.mark.parametrize(("system", "path"), [("github", ".github/workflows/devbox.yml"), ("gitlab", ".gitlab-ci.yml")])
def test_init_writes_a_ci_file_once(devbox: Devbox, system: str, path: str) -> None:
    first, second, third = (devbox("init", "--ci", system, *force) for force in ((), (), ("--force",)))

    assert (first.code, second.code, third.code) == (0, 2, 0)
    assert "--force" in second.err
    assert "devbox verify --junit" in (devbox.folder / path).read_text()
    assert not (devbox.folder / "devbox.yaml").exists()


def test_init_for_an_unknown_ci_names_the_known_ones(devbox: Devbox) -> None:
    result = devbox("init", "--ci", "jenkins")

    assert result.code == 2
    assert "github or gitlab" in result.err


@pytest.mark.parametrize("more", [(), ("--new",)])
def test_only_doors_with_a_password_have_one(devbox: Devbox, more: tuple[str, ...]) -> None:
    assert (devbox("password", "ssh", *more).err.splitlines()[0]) == "error: ssh has no password"


def test_json_is_json_whatever_is_taken_out_of_it(devbox: Devbox) -> None:
    (devbox.folder / "devbox.yaml").write_text("environment: {RC: '_auth=\"c2VjcmV0\"'}\n")
    assert json.loads(devbox("config", "--json").out)["environment"] == {"RC": '_auth="***"'}


@pytest.mark.parametrize("name", ["x" * 300, "gone"])
def test_a_folder_that_cannot_be_used_is_told(devbox: Devbox, name: str) -> None:
    done = start("-C", str(devbox.folder / name), "status")
    assert (done.returncode, done.stderr.startswith("error: ")) == (2, True), done.stderr


def test_output_that_cannot_be_written_is_told(devbox: Devbox) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from builder import __main__; __main__.recall = lambda *_: 'x'; __main__.main()"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[0][:43]) == (8, "error: standard output cannot be written: N")


def test_an_error_that_nobody_can_read_keeps_its_code(devbox: Devbox) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "builder", "-C", str(devbox.folder), "nope"]
        assert subprocess.run(argv, stderr=full, check=False, timeout=60).returncode == 2


def test_a_bill_goes_into_no_device(devbox: Devbox) -> None:
    assert devbox("sbom", "--output", "/dev/null").err.splitlines()[0] == "error: /dev/null: is no plain file"


def test_a_bill_for_a_folder_that_is_not_there_asks_no_engine(devbox: Devbox) -> None:
    found = devbox("sbom", "--output", "none/bill.json")
    assert (found.code, found.err.splitlines()[0]) == (2, "error: none: there is no such folder")


@pytest.mark.parametrize("verb", ["save", "diagnose"])
@pytest.mark.parametrize(
    ("file", "message"), [("pipe", "pipe: is no plain file"), ("none/x", "none: there is no such folder")]
)
def test_a_file_that_cannot_be_is_told_first_and_a_pipe_stays_one(
    verb: str, file: str, message: str, devbox: Devbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(devbox.folder)
    os.mkfifo("pipe")

    found = devbox(verb, file)

    assert found == Result(2, "", f"error: {message}\nhint: name a file in a folder of yours\n")
    assert Path("pipe").is_fifo()


@pytest.fixture
def saved(workspace: Path) -> list[str]:
    """Two images in files, which differ in a time."""
    paths = [workspace / "one.tar", workspace / "other.tar"]
    for second, path in enumerate(paths):
        path.write_bytes(save([make_layer([file("a", mtime=TIME + second)])]))
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("level", "code"), [((), 1), (("--level", "R3"), 1), (("--level", "R2"), 0), (("--level", "R1"), 0)]
)
def test_compare_ends_with_one_where_less_holds_than_asked(
    devbox: Devbox, saved: list[str], level: tuple[str, ...], code: int
) -> None:
    result = devbox("compare", *saved, *level)
    assert result.code == code
    assert "R2  yes  the same files, but for times\nR3  no " in result.out


def test_compare_finds_nothing_in_the_same_file_and_says_all_as_json(devbox: Devbox, saved: list[str]) -> None:
    result = devbox("compare", saved[0], saved[0])
    assert (result.code, result.out.splitlines()[-1]) == (0, "1 of 1 layers are the same")
    found = json.loads(devbox("compare", *saved, "--json").out)
    assert (found["level"], found["holds"]["R3"]) == ("R2", False)
    assert found["files"] == [
        {
            "path": "/a",
            "change": "changed",
            "step": "RUN layer 0",
            "package": "",
            "aspects": [{"name": "mtime", "before": "2020-01-01T00:00:00Z", "after": "2020-01-01T00:00:01Z"}],
        }
    ]


@pytest.mark.parametrize("words", [("a", "b", "c"), ("a", "--level", "R9")])
def test_compare_refuses_what_it_cannot_mean(devbox: Devbox, words: tuple[str, ...]) -> None:
    assert devbox("compare", *words).code == 2
