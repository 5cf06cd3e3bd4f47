"""No check that cannot fail: each one's failing case, where it needs no engine to show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.adapters.rfb import LoginRefusedError, Picture
from builder.adapters.ssh_door import SshDoor
from builder.adapters.web import Page, WebRefusedError, WebSocketDoor
from builder.model import Check, Exposure, Substitution
from builder.suite import (
    degraded,
    desktop,
    doors,
    health,
    own,
    ports,
    promises,
    resources,
    secrets_kept,
    ssh,
    timing,
    tooling,
    web,
)
from builder.suite.cases import Case
from builder.suite.results import Verdict
from builder.suite.subject import Subject
from tests.unit.suite.fakes import CONTAINER, PASSWORD, RESOLVED, FakeEngine, answering, make_subject, result_of

EVERYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound here
FAILED, PASSED = Verdict.FAILED, Verdict.PASSED


def find(cases: Iterable[Case], id: str) -> Case:
    return next(case for case in cases if case.id == id)


def told(change: Callable[[dict[str, Any]], object]) -> Subject:
    engine = FakeEngine()
    change(engine.told)
    return make_subject(engine)


def verdict(case: Case, subject: Subject) -> Verdict:
    return result_of(case, subject).verdict


# --------------------------------------------------------------------------------------------------- tooling

TOOLING = tuple(tooling.make_cases(RESOLVED, ()))


@pytest.mark.parametrize(
    ("id", "answer", "wanted"),
    [
        ("tooling.git.git", (0, "git version 2.39.5"), PASSED),
        ("tooling.git.git", (0, "git version 2.24.9"), FAILED),
        ("tooling.git.git", (127, "not found"), FAILED),
        ("tooling.git.git", (0, "git, no number"), FAILED),
        ("tooling.node.node", (0, "v18.18.2"), PASSED),
        ("tooling.node.node", (0, "v20.18.2"), FAILED),
        ("tooling.node.npm", (0, "10.1.0"), PASSED),
        ("tooling.node.npm", (1, ""), FAILED),
        ("tooling.desktop.xfwm4", (0, "true true"), PASSED),
        ("tooling.desktop.xfwm4", (0, "true false\nrun"), PASSED),
        ("tooling.desktop.xfwm4", (0, "true true\nnotification-fd\nrun"), PASSED),
        ("tooling.desktop.xfwm4", (0, "true false\nnotification-fd\nrun"), FAILED),
        ("tooling.desktop.xfwm4", (0, "false false"), FAILED),
        ("tooling.desktop.xfwm4", (1, ""), FAILED),
        ("tooling.packages", (0, "git installed\n"), PASSED),
        ("tooling.packages", (0, "git config-files\n"), FAILED),
        ("tooling.packages", (0, ""), FAILED),
    ],
)
def test_tooling(id: str, answer: tuple[int, str], wanted: Verdict) -> None:
    assert verdict(find(TOOLING, id), make_subject(FakeEngine(answers={"": answer}))) is wanted


def test_a_declared_check_has_a_readable_name_and_number() -> None:
    checks = (
        Check(run=("python3", "--version")),
        Check(run=("python3", "-m", "pip")),
        Check(file="/opt/x/Some_File.js"),
    )

    assert [name for name, _ in tooling.name_checks(checks)] == ["python3", "python3-2", "some-file.js"]
    assert find(TOOLING, "tooling.git.git").title == "git: `git --version` works and says >=2.25"


def test_a_missing_file_and_a_missing_package_fail() -> None:
    nothing = make_subject(FakeEngine(answers={"": (1, "")}))

    assert verdict(tooling.make_declared("x.y", "x", Check(file="/etc/hosts")), nothing) is FAILED
    assert verdict(tooling.make_declared("x.y", "x", Check(package="git")), nothing) is FAILED


def test_a_tool_that_is_substituted_is_skipped_and_said() -> None:
    from builder.model import ArchiveSource, ResolvedTool

    archive = ArchiveSource(location="x", sha256="a" * 64, strip=1, unpack=(), fallback="plain zsh")
    tool = ResolvedTool(name="omz", summary="", version=None, from_profile=True, archive=archive)
    instead = Substitution(what="omz", wanted="omz", got="plain zsh", reason="no way")
    (case, *_) = tooling.make_cases(replace(RESOLVED, tools=(tool,)), (instead,))

    result = result_of(case)

    assert (result.verdict, result.note) == (Verdict.SKIPPED, "in its place: plain zsh")


# -------------------------------------------------------------------------------------------------- promises


@pytest.mark.parametrize(
    ("case", "answer", "wanted"),
    [
        (promises.base, "VERSION_CODENAME=bookworm\n", PASSED),
        (promises.base, 'VERSION_CODENAME=jammy\nPRETTY_NAME="Ubuntu 22.04"\n', FAILED),
        (promises.user, "dev 1000:1000\n", PASSED),
        (promises.user, "dev 1001:1000\n", FAILED),
        (promises.home, "1000:1000\n", PASSED),
        (promises.home, "0:0\n", FAILED),
        (promises.shell, "dev:*:1000:1000::/home/dev:/bin/zsh\n", PASSED),
        (promises.shell, "dev:*:1000:1000::/home/dev:/bin/bash\n", FAILED),
        (promises.theme, "jonathan|/opt/oh-my-zsh|120\n", PASSED),
        (promises.theme, "robbyrussell||20\n", FAILED),
        (promises.theme, "jonathan||0\n", FAILED),
        (promises.theme, "", FAILED),
        (promises.sudo, "0\n", PASSED),
        (promises.sudo, "1000\n", FAILED),
        (promises.no_sudo, "0\n", FAILED),
        (promises.locale, "C.UTF-8 UTF-8\n", PASSED),
        (promises.locale, "C.UTF-8 ANSI_X3.4-1968\n", FAILED),
        (promises.pid1, "s6-svscan\n", PASSED),
        (promises.pid1, "bash\n", FAILED),
    ],
)
def test_promises(case: Case, answer: str, wanted: Verdict) -> None:
    assert verdict(case, make_subject(FakeEngine(answers={"": (0, answer)}))) is wanted


def test_an_unwritable_volume_and_a_folder_in_its_place_fail() -> None:
    assert verdict(promises.volumes, make_subject()) is PASSED
    assert verdict(promises.volumes, answering(("mktemp", 1, ""))) is FAILED
    assert verdict(promises.volumes, told(lambda it: it["Mounts"].pop())) is FAILED


def test_a_variable_that_is_missing_or_another_fails() -> None:
    assert verdict(promises.environment, make_subject()) is PASSED
    assert verdict(promises.environment, told(lambda it: it["Config"]["Env"].pop())) is FAILED


def test_another_time_zone_and_one_without_data_fail() -> None:
    assert verdict(promises.zone, make_subject()) is PASSED
    assert verdict(promises.zone, told(lambda it: it["Config"].update(Env=["TZ=UTC"]))) is FAILED
    assert verdict(promises.zone, answering(("/usr/share/zoneinfo", 1, ""))) is FAILED


def test_another_health_check_fails() -> None:
    subject = make_subject(FakeEngine(answers={"": (0, "s6-svscan")}))
    subject.inspect()["Config"]["Healthcheck"] = {"Test": ["NONE"]}
    assert verdict(promises.pid1, subject) is FAILED


def test_a_workstation_of_another_plan_is_a_warning() -> None:
    assert verdict(promises.current, make_subject()) is PASSED
    assert verdict(promises.current, make_subject(plan="p2")) is Verdict.WARNING


def test_one_that_was_gone_back_to_is_a_warning_that_says_so() -> None:
    found = result_of(promises.current, make_subject(held="p2"))
    assert found.verdict is Verdict.WARNING
    assert "`devbox rollback` went back to" in found.found
    assert found.look == "devbox up --update", "a plain `up` stays there"


# ----------------------------------------------------------------------------------------------------- ports

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def listener(address: str, port: int, state: str = "0A") -> str:
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000  0 1 1 0\n"


DECLARED = HEAD + "".join(listener("00000000", port) for port in (5901, 6080, 2222))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (DECLARED, PASSED),
        (DECLARED + listener("0B00007F", 40000), PASSED),  # the engine's name server
        (DECLARED + listener("00000000", 3000), PASSED),  # the development server
        (DECLARED + listener("00000000", 9999, "06"), PASSED),  # a connection that ends is no listener
        (DECLARED + listener("00000000", 9999), FAILED),
        (DECLARED + listener("00000000000000000000000001000000", 9999), FAILED),
        (HEAD + listener("00000000", 5901), FAILED),
    ],
)
def test_listening_ports(text: str, wanted: Verdict) -> None:
    assert verdict(ports.listening, answering(("/proc/net/tcp", 0, text))) is wanted


def test_an_extra_port_is_named_with_its_address() -> None:
    result = result_of(ports.listening, answering(("/proc/net/tcp", 0, DECLARED + listener("0100007F", 9999))))
    assert "127.0.0.1:9999 of uid 1000" in result.found


def test_a_port_on_every_address_and_one_too_many_fail() -> None:
    assert verdict(ports.bound, make_subject()) is PASSED
    everywhere = told(lambda it: it["NetworkSettings"]["Ports"].update({"5901/tcp": [{"HostIp": "192.0.2.1"}]}))
    assert verdict(ports.bound, everywhere) is FAILED
    assert verdict(ports.published, make_subject()) is PASSED
    more = told(lambda it: it["NetworkSettings"]["Ports"].update({"22/tcp": [{"HostIp": "127.0.0.1"}]}))
    assert verdict(ports.published, more) is FAILED


def exposed_at(asked: str, found: Iterable[str]) -> Subject:
    """A web desktop that devbox.yaml exposes on one address and the engine has published on some."""
    subject = told(
        lambda it: it["NetworkSettings"]["Ports"].update(
            {"6080/tcp": [{"HostIp": at, "HostPort": "6080"} for at in found]}
        )
    )
    exposure = Exposure(address=asked, name=None, names=(), ssh=False)
    return replace(subject, resolved=replace(RESOLVED, runtime=replace(RESOLVED.runtime, exposure=exposure)))


@pytest.mark.parametrize(
    ("asked", "found", "wanted"),
    [
        (EVERYWHERE, [EVERYWHERE], PASSED),
        ("::", ["::"], PASSED),
        (EVERYWHERE, [EVERYWHERE, "::"], FAILED),
        ("::", [EVERYWHERE], FAILED),
        (EVERYWHERE, [""], FAILED),
        (EVERYWHERE, ["127.0.0.1"], FAILED),
    ],
)
def test_an_exposed_port_is_on_the_address_that_was_asked_for_alone(
    asked: str, found: list[str], wanted: Verdict
) -> None:
    subject = exposed_at(asked, found)

    assert verdict(ports.bound, subject) is wanted
    assert verdict(ports.published, subject) is PASSED


@pytest.mark.parametrize(("at", "reached"), [(EVERYWHERE, "127.0.0.1"), ("::", "::1")])
def test_the_doors_of_every_address_are_knocked_at_on_loopback(at: str, reached: str) -> None:
    assert replace(CONTAINER, addresses={6080: at}).address(6080) == reached


# ----------------------------------------------------------------------------------------------------- doors


class Door:
    """A VNC server that lets in whom it is told to."""

    version = (3, 8)

    def __init__(self, *opens: str | None, types: tuple[int, ...] = (2,), version: tuple[int, int] = (3, 8)) -> None:
        self.opens, self.security_types, self.version = opens, types, version

    def login(self, password: str | None, *, force: int | None = None) -> Door:
        if password not in self.opens:
            raise LoginRefusedError("no")
        return self

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("case", "door", "wanted"),
    [
        (doors.banner, Door(), PASSED),
        (doors.banner, Door(version=(3, 3)), FAILED),
        (doors.security_types, Door(), PASSED),
        (doors.security_types, Door(types=(1, 2)), FAILED),
        (doors.security_types, Door(types=(1,)), FAILED),
        (doors.right_password, Door(PASSWORD), PASSED),
        (doors.right_password, Door(), FAILED),
        (doors.wrong_password, Door(PASSWORD), PASSED),
        (doors.wrong_password, Door("a" + PASSWORD[1:]), FAILED),
        (doors.empty_password, Door(PASSWORD), PASSED),
        (doors.empty_password, Door(""), FAILED),
        (doors.no_password, Door(PASSWORD), PASSED),
        (doors.no_password, Door(None), FAILED),
        (doors.no_password, Door(None, version=(3, 3)), Verdict.SKIPPED),
    ],
)
def test_vnc(case: Case, door: Door, wanted: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subject, "greet", lambda self: door)
    assert verdict(case, make_subject()) is wanted


def test_web_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(status=200, content_type="text/html", body=b"<script src=viewer.js>")
    monkeypatch.setattr(web, "check_page", lambda place: page)
    assert verdict(web.page, make_subject()) is PASSED
    monkeypatch.setattr(web, "check_page", lambda place: replace(page, body=b"It works!"))
    assert verdict(web.page, make_subject()) is FAILED


@pytest.mark.parametrize(("status", "wanted"), [(403, PASSED), (404, FAILED), (None, FAILED)])
def test_web_socket_of_a_foreign_page(status: int | None, wanted: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: object, **options: object) -> WebSocketDoor:
        assert options["origin"] == web.FOREIGN
        if status:
            raise WebRefusedError("no", status=status)
        return WebSocketDoor(subprotocol="binary", banner=b"RFB 003.008\n")

    monkeypatch.setattr(web, "check_websocket", answer)
    assert verdict(web.foreign, make_subject()) is wanted


def test_web_socket_that_is_refused_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> WebSocketDoor:
        raise WebRefusedError("no", status=502)

    monkeypatch.setattr(web, "check_websocket", refuse)
    assert verdict(web.socket, make_subject()) is FAILED


def test_a_door_that_devbox_yaml_does_not_publish_is_skipped() -> None:
    runtime = replace(RESOLVED.runtime, ports=())
    subject = make_subject(resolved=replace(RESOLVED, runtime=runtime))
    assert verdict(web.page, subject) is Verdict.SKIPPED


def test_a_door_that_should_be_published_and_is_not_fails() -> None:
    assert verdict(web.page, make_subject(container=replace(CONTAINER, ports={}))) is FAILED


def test_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known, identity = tmp_path / "known_hosts", tmp_path / "id"
    known.write_text("* ssh-ed25519 AAAA\n")
    keys = replace(make_subject().keys, known_hosts=str(known), identity=str(identity))
    subject = make_subject(keys=keys)

    def door(name: str, value: object) -> None:
        monkeypatch.setattr(SshDoor, name, lambda self, *arguments: value)

    def both(case: Case, name: str, good: object, bad: object) -> None:
        door(name, good)
        assert verdict(case, subject) is PASSED
        door(name, bad)
        assert verdict(case, subject) is FAILED

    monkeypatch.setattr(ssh, "has_keys", lambda identity: True)
    both(ssh.host_key, "host_key", "ssh-ed25519 AAAA", "ssh-ed25519 BBBB")
    both(ssh.methods, "offered_methods", ("publickey",), ("password", "publickey"))
    both(ssh.methods, "offered_methods", ("publickey",), ())
    both(ssh.key, "run", "dev dev\n", None)
    both(ssh.key, "run", "dev dev\n", "dev \n")
    both(ssh.password, "accepts_password", False, True)
    both(ssh.root, "accepts_key", False, True)
    monkeypatch.setattr(ssh, "has_keys", lambda identity: False)
    both(ssh.root, "accepts_password", False, True)
    assert verdict(ssh.key, subject) is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("case", "place"),
    [
        (secrets_kept.environment, "environ"),
        (secrets_kept.arguments, "cmdline"),
        (secrets_kept.logs, "/run/devbox/log"),
    ],
)
def test_a_password_that_leaked_is_found(case: Case, place: str) -> None:
    assert verdict(case, answering((place, 0, "A=1\0B=2"))) is PASSED
    assert verdict(case, answering((place, 0, f"A=1\0B={PASSWORD}"))) is FAILED


def test_a_password_in_the_containers_description_is_found() -> None:
    assert verdict(secrets_kept.inspect, make_subject()) is PASSED
    assert verdict(secrets_kept.inspect, told(lambda it: it["Config"].update(Labels={"x": PASSWORD}))) is FAILED
    assert verdict(secrets_kept.environment, told(lambda it: it["Config"]["Env"].append(f"P={PASSWORD}"))) is FAILED
    assert verdict(secrets_kept.logs, make_subject(FakeEngine(log=PASSWORD.encode()))) is FAILED


def test_a_password_in_a_rendered_file_is_found(tmp_path: Path) -> None:
    assert verdict(secrets_kept.rendered, make_subject(rendered=tmp_path)) is PASSED
    (tmp_path / "compose.yaml").write_text(f"password: {PASSWORD}\n")
    assert verdict(secrets_kept.rendered, make_subject(rendered=tmp_path)) is FAILED


def test_a_password_file_that_others_can_read_fails() -> None:
    assert verdict(secrets_kept.private, answering(("stat", 0, "600 /a\n600 /b\n"))) is PASSED
    assert verdict(secrets_kept.private, answering(("stat", 0, "600 /a\n644 /b\n"))) is FAILED


# --------------------------------------------------------------------------------------- desktop and the rest


def probe(red: dict[str, str], *phases: str) -> Subject:
    report = json.dumps({"usable": not red, "red": red})
    return answering(("probe check", 0, report + "\n\n" + "".join(f"{name} x :1\n" for name in phases)))


@pytest.mark.parametrize("phase", desktop.PHASES)
def test_a_red_phase_and_one_that_nobody_looks_at_fail(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.suite.subject.LATE_S", 0.1)  # a fake does not change its mind
    case = find(desktop.make_cases(RESOLVED), f"desktop.{desktop.PHASES[phase][0]}")

    assert verdict(case, probe({}, *desktop.PHASES)) is PASSED
    assert verdict(case, probe({phase: "xfwm4: not there"}, *desktop.PHASES)) is FAILED
    assert verdict(case, probe({}, "other")) is FAILED
    assert verdict(case, answering(("probe check", 1, "Traceback"))) is FAILED


class Screen:
    """A VNC client that sees `rows` of many colours, and black below them."""

    def __init__(self, rows: int, cursor: int = 0) -> None:
        self.rows, self.cursor = rows, cursor

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def picture(self, seconds: float) -> Picture:
        painted = b"".join(bytes((at % 256, at % 7, 9)) for at in range(self.rows * 200))
        cursor = b"".join(bytes((at, at, at)) for at in range(self.cursor))
        middle = bytes(3 * 200 * 100)
        return Picture(width=200, height=200, rgb=(middle + cursor + painted + bytes(3 * 200 * 200))[: 3 * 200 * 200])


@pytest.mark.parametrize(
    ("screen", "wanted"),
    [(Screen(rows=3), PASSED), (Screen(rows=0), FAILED), (Screen(rows=0, cursor=60), FAILED)],
    ids=["a panel on black", "black", "black with a smooth cursor"],
)
def test_a_picture_of_one_colour_fails(screen: Screen, wanted: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subject, "login", lambda self: screen)
    assert verdict(desktop.first_frame, make_subject()) is wanted


def test_each_substitution_is_a_finding_by_name() -> None:
    instead = Substitution(what="base", wanted="ubuntu-22.04", got="debian-12", reason="not here")
    cases = tuple(degraded.make_cases(RESOLVED, (instead,)))

    assert [case.id for case in cases] == ["degraded.told", "degraded.base"]
    assert verdict(cases[1], make_subject()) is Verdict.WARNING
    assert result_of(cases[1], strict=True).verdict is FAILED


def test_a_substitution_that_no_label_tells_fails() -> None:
    instead = Substitution(what="base", wanted="ubuntu-22.04", got="debian-12", reason="not here")
    assert verdict(degraded.told, make_subject()) is PASSED
    assert verdict(degraded.told, make_subject(substitutions=(instead,))) is FAILED


def test_an_image_over_its_budget_fails() -> None:
    (case,) = resources.make_cases(replace(RESOLVED, budget={"image_mb": 500}))
    assert verdict(case, make_subject()) is PASSED
    assert verdict(case, make_subject(FakeEngine(image_size=500_000_001))) is FAILED


def starts(*painted: float) -> Subject:
    subject = make_subject()
    subject.memo.get(timing.STARTS, lambda: tuple({"frame": seconds} for seconds in painted))
    return subject


def test_the_median_start_is_held_to_its_budget_and_the_slow_ones_to_theirs() -> None:
    cases = tuple(timing.make_cases(replace(RESOLVED, budget={"painted_s": 1.0, "painted_p95_s": 2.0})))
    middle, slow = find(cases, "timing.painted_s"), find(cases, "timing.painted_p95_s")

    assert verdict(middle, starts(0.8, 0.9, 5.0)) is PASSED
    assert verdict(slow, starts(0.8, 0.9, 5.0)) is FAILED
    assert verdict(middle, starts(0.8, 1.1, 1.2)) is FAILED
    assert (
        verdict(find(timing.make_cases(replace(RESOLVED, budget={"web_s": 1})), "timing.web_s"), starts(1.0)) is FAILED
    )


def test_percentiles_are_values_that_were_measured() -> None:
    assert timing.percentile([3.0, 1.0, 2.0], 95) == 3.0
    assert timing.percentile(range(1, 101), 95) == 95


def test_every_declared_service_has_a_health_check() -> None:
    assert [case.id for case in health.make_cases(RESOLVED)] == ["health.xfwm4"]


def test_own_declared_checks_are_run_under_their_names() -> None:
    subject = answering(("nano", 0, "GNU nano, version 7.2"))
    subject = replace(subject, own=(("editor", Check(run=("nano", "--version"), version=">=8")),))
    (case,) = own.make_cases(subject)

    assert case.id == "own.editor"
    assert result_of(case, subject).found == "7.2"


def test_own_tests_without_a_folder_fail(tmp_path: Path) -> None:
    (case,) = own.make_cases(make_subject(tests=tmp_path / "none"))
    assert verdict(case, make_subject()) is FAILED


def test_own_tests_are_read_from_the_report_of_pytest() -> None:
    report = b"""<testsuites><testsuite>
      <testcase classname="test_mine" name="test_good" time="0.1"/>
      <testcase classname="test_mine" name="test_bad"><failure message="assert 1 == 2">long</failure></testcase>
      <testcase classname="test_mine" name="test_odd"><error message="no fixture">long</error></testcase>
      <testcase classname="test_mine" name="test_later"><skipped message="not yet"/></testcase>
    </testsuite></testsuites>"""

    results = [result_of(case) for case in own.read_tests(report)]

    assert [item.verdict for item in results] == [PASSED, FAILED, FAILED, Verdict.SKIPPED]
    assert results[1].id == "own.test_mine.test_bad"
    assert results[1].found == "assert 1 == 2"
