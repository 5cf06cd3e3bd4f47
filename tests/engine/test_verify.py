"""`devbox verify` on real containers: a sound workstation passes, a broken one fails with the check that is for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from builder.adapters.engine.client import Engine
from builder.adapters.errands import Errands
from builder.errors import EngineError
from builder.model import ServiceSpec
from builder.suite.results import Report, Verdict
from builder.suite.session import Wanted, open_image
from builder.suite.subject import Subject
from builder.suite.verify import verify
from builder.wiring import make_context, make_wanted
from tests.engine.conftest import NewWorkstation, Workstation

QUICK = ("tooling", "promises", "cis", "ports", "doors", "desktop", "degraded")


@pytest.fixture(scope="module")
def shared(session_workstations: NewWorkstation) -> Workstation:
    """A running default workstation of this module's own: these checks type and resize, and want nobody beside them."""
    workstation = session_workstations("verified")
    workstation.up()
    return workstation


@pytest.fixture(scope="module")
def wanted(shared: Workstation) -> Wanted:
    """What the shared workstation should be."""
    kept = {name: os.environ.get(name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
    os.environ.update({name: shared.environment[name] for name in kept})
    try:
        return make_wanted(make_context(shared.folder, lambda event: None, shared.environment))
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def broken(
    engine: Engine, wanted: Wanted, *, inside: str = "true", tweak: Callable[[ServiceSpec], ServiceSpec] | None = None
) -> Iterator[Subject]:
    """A throw-away that was changed: by a shell line as root once it runs, or before it is made."""
    with open_image(engine, wanted, wanted.plan.image, tweak=tweak) as subject:
        subject.output("sh", "-c", inside, root=True)
        yield subject


def failures(subject: Subject, groups: Sequence[str]) -> list[str]:
    return [item.id for item in verify(subject, groups).failures]


# -------------------------------------------------------------------------------------------------- soundness


@pytest.mark.engines
def test_a_sound_workstation_passes_every_quick_group(shared: Workstation, tmp_path: Path) -> None:
    junit, folder = tmp_path / "out/junit.xml", tmp_path / "report"

    done = shared.run("verify", "--json", "--only", ",".join(QUICK), "--junit", str(junit), "--report", str(folder))

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    verdicts = {item["id"]: item["verdict"] for item in report["results"]}
    assert set(verdicts.values()) <= {"passed", "warning", "skipped"}
    assert len(verdicts) > 70
    assert {name.partition(".")[0] for name in verdicts} == set(QUICK)
    # Whatever had to be replaced here is a warning with its name, and nothing else is; only of that is nothing checked.
    replaced = {item["what"] for item in report["substitutions"]}
    assert {name for name, verdict in verdicts.items() if verdict == "warning"} == {f"degraded.{it}" for it in replaced}
    assert {name for name, verdict in verdicts.items() if verdict == "skipped"} <= {f"tooling.{it}" for it in replaced}
    _assert_junit(junit, verdicts)
    _assert_report(folder, verdicts)


def _assert_junit(file: Path, verdicts: dict[str, str]) -> None:
    root = Xml.parse(file).getroot()  # noqa: S314  # ours
    assert root is not None
    cases = [case.get("name", "").partition(":")[0] for case in root.iter("testcase")]
    assert cases == list(verdicts)
    assert root.get("tests") == str(len(verdicts))
    assert root.get("failures") == "0"


class _Links(HTMLParser):
    """What a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def _assert_report(folder: Path, verdicts: dict[str, str]) -> None:
    page = (folder / "index.html").read_text()
    links = _Links()
    links.feed(page)
    assert len(links.sources) == 1
    assert links.sources[0].startswith("data:image/png;base64,iVBOR")
    assert "<svg" in page
    assert all(name in page for name in verdicts)
    assert "xfce4-panel" in page
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [item["id"] for item in json.loads((folder / "report.json").read_text())["results"]] == list(verdicts)


def test_it_leaves_no_trace(shared: Workstation) -> None:
    """No window, no file: whoever works there goes on."""
    shared.ok("verify", "--only", "desktop")

    assert shared.run("exec", "--", "pgrep", "-f", "devbox-verify").returncode == 1
    assert shared.inside("sh", "-c", "ls -A /tmp ~ | grep -c devbox-verify; true").strip() == "0"


def test_only_and_skip_choose_groups(shared: Workstation) -> None:
    report = json.loads(shared.ok("verify", "--json", "--only", "ports,degraded", "--skip", "degraded"))

    assert {item["group"] for item in report["results"]} == {"ports"}


def test_unknown_group_is_told_with_the_known_ones(shared: Workstation) -> None:
    done = shared.run("verify", "--only", "dors")

    assert done.returncode == 2
    assert "dors" in done.stderr
    assert "doors" in done.stderr


def test_strict_makes_a_failure_of_a_substitution(shared: Workstation) -> None:
    replaced = bool(shared.status()["substitutions"])

    done = shared.run("verify", "--strict", "--only", "degraded")

    assert done.returncode == (7 if replaced else 0)
    assert ("✗ degraded.base" in done.stdout) == replaced


def test_not_running_says_what_to_do(new_workstation: NewWorkstation) -> None:
    done = new_workstation("verify-nothing").run("verify")

    assert done.returncode == 5
    assert "devbox up" in done.stderr


# ------------------------------------------------------------------------------------------------ throw-aways


def test_an_image_is_verified_without_touching_a_workstation(shared: Workstation, engine: Engine) -> None:
    before = shared.container(engine)

    report = json.loads(
        shared.ok("verify", "--json", "--image", before.image, "--only", "tooling,promises,ports,doors")
    )

    assert report["subject"] != before.name
    assert shared.container(engine) == before
    assert report["subject"] not in {view.name for view in engine.find_workstations()}
    assert engine.volumes(report["subject"].removesuffix("-workstation-1")) == ()


def test_an_image_that_is_not_there_is_told(shared: Workstation) -> None:
    done = shared.run("verify", "--image", "devbox/workstation:none")

    assert done.returncode == 5
    assert "devbox build" in done.stderr


def test_starts_are_timed_and_every_service_comes_back(engine: Engine, wanted: Wanted) -> None:
    generous = replace(wanted, repeat=2, resolved=replace(wanted.resolved, budget={"painted_s": 30, "image_mb": 9000}))
    with open_image(engine, generous, wanted.plan.image) as subject:
        report = verify(subject, ["timing", "health", "resources"])

    assert [item.found for item in report.failures] == []
    assert len(report.starts) == 2
    assert all(start["frame"] > 0 for start in report.starts)
    services = {"bus", "sshd", "web", "xfce4-panel", "xfconfd", "xfdesktop", "xfwm4", "xvnc"}
    assert {item.id for item in report.results} >= {f"health.{name}" for name in services}


def test_a_budget_that_is_missed_fails(engine: Engine, wanted: Wanted) -> None:
    tight = replace(wanted, repeat=1, resolved=replace(wanted.resolved, budget={"painted_s": 0.01, "image_mb": 1}))
    with open_image(engine, tight, wanted.plan.image) as subject:
        assert failures(subject, ["timing", "resources"]) == ["resources.image_mb", "timing.painted_s"]


# ---------------------------------------------------------------------------------------------- broken on purpose

OTHER_PASSWORD = "printf 12345678 | tigervncpasswd -f >/run/user/dev/vnc-passwd"
LISTEN = """
setsid python3 -m http.server 9999 >/dev/null 2>&1 &
timeout 10 sh -c 'until ss -ltn | grep -q :9999; do sleep 0.1; done'
"""


@pytest.mark.parametrize(
    ("inside", "groups", "seen"),
    [
        pytest.param("rm /usr/bin/git", ["tooling"], ["tooling.git.git"], id="git without its program"),
        pytest.param(LISTEN, ["ports", "doors"], ["ports.listening"], id="a port more"),
        pytest.param(OTHER_PASSWORD, ["ports", "doors"], ["doors.vnc-password"], id="another password"),
        pytest.param("usermod -s /bin/bash dev", ["promises"], ["promises.shell"], id="another shell"),
    ],
)
def test_a_broken_workstation_fails_with_exactly_the_right_check(
    engine: Engine, wanted: Wanted, inside: str, groups: list[str], seen: list[str]
) -> None:
    with broken(engine, wanted, inside=inside) as subject:
        assert failures(subject, groups) == seen


def test_a_leaked_password_is_found(engine: Engine, wanted: Wanted) -> None:
    def leak(spec: ServiceSpec) -> ServiceSpec:
        password = (Path(spec.secrets_dir) / "vnc-password").read_text().strip()
        return replace(spec, environment={**spec.environment, "VNC_PASSWORD": password})

    with broken(engine, wanted, tweak=leak) as subject:
        assert failures(subject, ["doors", "promises"]) == ["doors.password-not-in-environment"]


def test_the_command_fails_with_exit_code_7_and_says_how_to_look(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation(
        "verify-own", "ports: {dev: []}\nverify:\n  checks: [{name: answer, file: /answer}]\n  tests: ./tests\n"
    )
    (workstation.folder / "tests").mkdir()
    (workstation.folder / "tests/test_own.py").write_text(
        "def test_user(host, root):\n    assert host.user().name == 'dev'\n    assert root.user().name == 'root'\n"
        "def test_wrong(host):\n    assert host.file('/nowhere').exists\n"
    )
    workstation.up()

    done = workstation.run("verify", "--only", "own")

    assert done.returncode == 7
    assert "✓ own.test_own.test_user" in done.stdout
    assert "2 of 3 checks failed" in done.stderr
    assert "✗ own.answer" in done.stderr
    assert "expected  /answer to exist" in done.stderr
    assert "look      devbox exec -- ls -l /answer" in done.stderr
    assert "✗ own.test_own.test_wrong" in done.stderr


def test_a_report_counts_what_it_holds(engine: Engine, wanted: Wanted) -> None:
    with open_image(engine, wanted, wanted.plan.image) as subject:
        report: Report = verify(subject, ["ports"])

    assert report.count(Verdict.PASSED) == len(report.results) == 3


# ------------------------------------------------------------------------------------------------- killed half-way


def test_what_a_killed_verify_left_behind_is_taken_away_by_the_next(
    shared: Workstation, engine: Engine, wanted: Wanted, tmp_path: Path
) -> None:
    program = tmp_path / "killed.py"
    program.write_text(
        "import os, sys\nfrom pathlib import Path\nfrom builder.suite.session import open_image\n"
        "from builder.wiring import make_context, make_wanted\n"
        "context = make_context(Path(sys.argv[1]), lambda event: None, os.environ)\nwanted = make_wanted(context)\n"
        "with open_image(context.engine(), wanted, wanted.plan.image) as subject:\n"
        "    print(subject.keys.folder, flush=True)\n    os.kill(os.getpid(), 9)\n"
    )
    argv = [sys.executable, str(program), str(shared.folder)]
    died = subprocess.run(argv, env=shared.environment, capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -9, died.stderr
    secrets_folder = Path(died.stdout.strip())
    before = shared.container(engine)
    with open_image(engine, wanted, wanted.plan.image) as living:
        (left,) = set(engine.find_throwaways()) - {living.container.labels["com.docker.compose.project"]}
        assert engine.find_container(left)
        assert engine.volumes(left)
        assert secrets_folder.is_dir()

        told = shared.run("verify", "--only", "degraded").stderr

        assert left in told
        assert set(engine.find_throwaways()) == {living.container.labels["com.docker.compose.project"]}
    assert engine.find_container(left) is None
    assert engine.volumes(left) == ()
    assert not secrets_folder.exists()
    assert shared.container(engine) == before


def test_commands_inside_are_what_an_exec_would_be(shared: Workstation, engine: Engine) -> None:
    container = shared.container(engine).id
    script = "id; env | sort; pwd; umask; tty; grep -e ^Cap -e ^SigIgn -e ^SigBlk -e ^NoNewPrivs /proc/self/status; cat"
    errands = Errands(engine)
    try:
        for argv in (["sh", "-c", script], ["sh", "-c", "kill -9 $$"], ["no-such-program"], ["/etc"]):
            for user in ("root", "dev"):
                home = {"HOME": "/somewhere"}
                ours = errands.run(container, argv, user=user, env=home, stdin=b"\0given\xff")
                engines = engine.run(container, argv, user=user, env=home, stdin=b"\0given\xff")
                if ours.code in (126, 127):  # which of both, and in which words, depends on the engine's version
                    assert engines.code in (126, 127)
                else:
                    assert ours == engines
        with pytest.raises(EngineError, match="did not end within"):
            errands.run(container, ["sleep", "7777"], timeout_s=0.2)
    finally:
        errands.close()
    left = "timeout 10 sh -c 'while pgrep -x -f \"sleep 7777\"; do sleep 0.1; done' >/dev/null"
    assert engine.run(container, ["sh", "-c", left]).code == 0
    with pytest.raises(EngineError, match="No such container"):
        errands.run("no-such-container", ["true"])
