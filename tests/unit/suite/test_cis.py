"""The CIS predicates: each can fail, and a level's exceptions excuse what they name and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from builder.model import Level
from builder.suite import cis
from builder.suite.cis import CASES, PREDICATES, list_exceptions
from builder.suite.results import Verdict
from builder.suite.subject import Subject
from tests.golden.rendering import resolve
from tests.unit.suite.fakes import FakeEngine, make_subject, result_of, sound_inspect

BY_ID = {case.id.removeprefix("cis."): case for case in CASES}


def harden(told: dict[str, Any]) -> dict[str, Any]:
    """What the engine tells of a container of the level locked."""
    told["Config"]["User"] = "1000:1000"
    told["HostConfig"] |= {
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "Memory": 1 << 32,
        "NanoCpus": 2_000_000_000,
    }
    return told


def locked(engine: FakeEngine | None = None) -> Subject:
    engine = engine or FakeEngine(told=harden(sound_inspect()))
    subject = make_subject(engine)
    runtime = replace(subject.resolved.runtime, level=Level.LOCKED, closed=("ssh",), memory=1 << 32, cpus=2.0)
    return replace(subject, resolved=replace(subject.resolved, runtime=runtime))


def verdicts(subject: Subject) -> dict[str, Verdict]:
    return {id: result_of(case, subject).verdict for id, case in BY_ID.items()}


def test_a_locked_workstation_holds_every_predicate_without_exception() -> None:
    subject = locked()

    results = [result_of(case, subject) for case in CASES]

    assert [(item.id, item.found) for item in results if item.verdict is not Verdict.PASSED or item.note] == []
    assert list_exceptions(subject.resolved) == ()


def test_every_exception_of_dev_is_told_with_its_reason_and_nothing_else_is_missed() -> None:
    subject = make_subject(FakeEngine(answers={"comm": (0, "s6-svscan\nsshd\n")}))

    notes = {case.id: result_of(case, subject).note for case in CASES}

    assert set(verdicts(subject).values()) == {Verdict.PASSED}
    told = {id.removeprefix("cis.") for id, note in notes.items() if note.startswith("exception of the level dev: ")}
    assert told == {item.id for item in list_exceptions(subject.resolved)}
    assert told == {"4.1", "5.4", "5.7", "5.11", "5.12", "5.13", "5.26"}


def test_what_podman_does_not_tell_is_skipped_with_the_reason() -> None:
    told = verdicts(make_subject(FakeEngine(kind="podman", image={"Config": {}})))
    assert {id for id, verdict in told.items() if verdict is Verdict.SKIPPED} == {"4.6", "5.4", "5.30"}


HOST_CHANGES: dict[str, dict[str, Any]] = {
    "5.4": {"CapAdd": ["CHOWN"]},
    "5.5": {"Privileged": True},
    "5.10": {"NetworkMode": "host"},
    "5.11": {"Memory": 0},
    "5.12": {"NanoCpus": 0, "CpuShares": 1024},
    "5.13": {"ReadonlyRootfs": False},
    "5.15": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    "5.16": {"PidMode": "host"},
    "5.17": {"IpcMode": "host"},
    "5.18": {"Devices": [{"PathOnHost": "/dev/kvm"}]},
    "5.21": {"UTSMode": "host"},
    "5.22": {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]},
    "5.25": {"CgroupParent": "/else"},
    "5.26": {"SecurityOpt": ["no-new-privileges:false"]},
    "5.29": {"PidsLimit": -1},
    "5.30": {"NetworkMode": "default"},
    "5.31": {"UsernsMode": "host"},
}
MOUNTS: dict[str, dict[str, str]] = {
    "5.6": {"Type": "bind", "Source": "/etc/ssl", "Destination": "/srv/ssl"},
    "5.20": {"Type": "bind", "Source": "/srv", "Destination": "/srv", "Propagation": "shared"},
    "5.32": {"Type": "bind", "Source": "/run/user/1000/podman.sock", "Destination": "/srv/engine.sock"},
}
PORTS = {
    "5.8": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    "5.14": {"8080/tcp": [{"HostIp": "", "HostPort": "8080"}]},
}


EVERYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound here


def exposed(text: str) -> Subject:
    """What devbox.yaml asks for is published where it asks for it, and the rest is in order."""
    resolved = resolve(text)
    runtime = resolved.runtime
    told = sound_inspect() if runtime.level is Level.DEV else harden(sound_inspect())
    told["NetworkSettings"]["Ports"] = {
        f"{port.container}/tcp": [{"HostIp": runtime.bind_of(port.name), "HostPort": str(port.host)}]
        for port in runtime.ports
    }
    return make_subject(FakeEngine(told=told), resolved=resolved)


def edited(change: Callable[[dict[str, Any]], object]) -> FakeEngine:
    told = harden(sound_inspect())
    change(told)
    return FakeEngine(told=told)


def host(change: dict[str, Any]) -> FakeEngine:
    return edited(lambda told: told["HostConfig"].update(change))


def mounted(mount: dict[str, str]) -> FakeEngine:
    return edited(lambda told: told["Mounts"].append(mount))


def published(ports: dict[str, Any]) -> FakeEngine:
    return edited(lambda told: told["NetworkSettings"].update(Ports=ports))


BROKEN: dict[str, FakeEngine] = {
    **{id: host(change) for id, change in HOST_CHANGES.items()},
    **{id: mounted(mount) for id, mount in MOUNTS.items()},
    **{id: published(ports) for id, ports in PORTS.items()},
    "4.1": edited(lambda it: it["Config"].update(User="0:0")),
    "4.6": replace(edited(id), image={"Config": {}}),
    "4.7": replace(edited(id), history=("base", "RUN /bin/sh -c apt-get update # buildkit")),
    "4.9": replace(edited(id), history=("base", "ADD https://example.org/x / # buildkit")),
    "4.10": replace(edited(id), history=("base", "|1 NPM_TOKEN=x RUN npm install")),
    "5.7": replace(edited(id), answers={"comm": (0, "s6-svscan\nsshd\n")}),
    "5.27": edited(lambda it: it["Config"].update(Healthcheck={"Test": ["NONE"]})),
}


@pytest.mark.parametrize("id", [item.id for item in PREDICATES if item.id != "4.8"])
def test_each_predicate_sees_what_it_is_for_and_nothing_else(id: str) -> None:
    found = verdicts(locked(BROKEN[id]))

    assert {other for other, verdict in found.items() if verdict is Verdict.FAILED} == {id}


KNOWN = "/usr/bin/sudo\n/bin/su\n/usr/bin/newgrp\n"


@pytest.mark.parametrize("path", ["/usr/bin/env", "/usr/bin/mount"])
def test_a_setuid_program_that_nobody_knows_is_a_warning(path: str) -> None:
    engine = FakeEngine(told=harden(sound_inspect()), answers={"-perm /6000": (0, f"{KNOWN}{path}\n")})

    assert result_of(BY_ID["4.8"], locked(engine)).verdict is Verdict.WARNING
    assert result_of(BY_ID["4.8"], locked(engine), strict=True).verdict is Verdict.FAILED


def test_what_works_for_the_user_after_a_password_is_set_is_no_finding() -> None:
    engine = FakeEngine(told=harden(sound_inspect()), answers={"-perm /6000": (0, KNOWN)})

    assert result_of(BY_ID["4.8"], locked(engine)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("id", "engine"),
    [
        *(("5.14", published({"8080/tcp": [{"HostIp": at, "HostPort": "8080"}]})) for at in ("", EVERYWHERE, "::")),
        ("5.12", host({"NanoCpus": 0, "CpuQuota": -1})),
        ("5.20", mounted(MOUNTS["5.20"] | {"Propagation": "rshared"})),
        ("5.30", host({"NetworkMode": "bridge"})),
        ("5.30", edited(lambda it: it["NetworkSettings"].update(Networks={"app_default": {}, "bridge": {}}))),
        ("5.7", replace(edited(id), answers={"comm": (0, "s6-svscan\nsshd-session\n")})),
    ],
)
def test_the_same_in_other_words_is_seen_too(id: str, engine: FakeEngine) -> None:
    assert result_of(BY_ID[id], locked(engine)).verdict is Verdict.FAILED


@pytest.mark.parametrize("propagation", ["rprivate", "rslave", ""])
def test_a_mount_that_nobody_else_sees_change_is_not_shared(propagation: str) -> None:
    engine = mounted(MOUNTS["5.20"] | {"Propagation": propagation})

    assert result_of(BY_ID["5.20"], locked(engine)).verdict is Verdict.PASSED


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("address", [EVERYWHERE, "::"])
def test_a_web_desktop_that_is_exposed_everywhere_is_an_exception_at_both_levels(level: Level, address: str) -> None:
    subject = exposed(f'security: {level.value}\nexpose: "{address}"')

    result = result_of(BY_ID["5.14"], subject)

    assert result.verdict is Verdict.PASSED
    assert result.note.startswith(f"exception of the level {level.value}: `expose` asks for it")


@pytest.mark.parametrize(
    ("text", "open_port", "wanted"),
    [
        ("expose: true", 5901, Verdict.FAILED),
        ("expose: true", 2222, Verdict.FAILED),  # without `ssh: true` it stays here
        ("expose: {ssh: true}", 2222, Verdict.PASSED),
        ("expose: true", 9999, Verdict.FAILED),
        ('expose: "::"', 6080, Verdict.FAILED),  # of the other family than was asked for
        ("expose: 192.0.2.7", 6080, Verdict.FAILED),
        ("base: debian-12", 6080, Verdict.FAILED),
    ],
)
def test_the_exception_covers_the_ports_that_are_exposed_and_no_other(
    text: str, open_port: int, wanted: Verdict
) -> None:
    subject = exposed(text)
    ports = subject.inspect()["NetworkSettings"]["Ports"]
    ports[f"{open_port}/tcp"] = [{"HostIp": EVERYWHERE, "HostPort": str(open_port)}]

    result = result_of(BY_ID["5.14"], subject)

    assert result.verdict is wanted
    assert wanted is Verdict.PASSED or f"{open_port} on `{EVERYWHERE}`" in result.found


def test_a_host_key_of_the_image_is_a_secret() -> None:
    engine = FakeEngine(told=harden(sound_inspect()), answers={"ssh_host": (0, "/etc/ssh/ssh_host_rsa_key\n")})

    assert "ssh_host_rsa_key" in result_of(BY_ID["4.10"], locked(engine)).found


@pytest.mark.parametrize("capability", ["SYS_ADMIN", "CAP_NET_ADMIN"])
def test_the_exception_for_capabilities_has_its_bound(capability: str) -> None:
    subject = make_subject()
    subject.inspect()["HostConfig"]["CapAdd"] = ["CHOWN", capability]

    assert result_of(BY_ID["5.4"], subject).verdict is Verdict.FAILED


def test_capabilities_that_are_not_dropped_first_are_no_exception() -> None:
    subject = make_subject()
    subject.inspect()["HostConfig"]["CapDrop"] = []

    assert result_of(BY_ID["5.4"], subject).verdict is Verdict.FAILED


def test_a_limit_of_devbox_yaml_that_is_not_there_is_no_exception() -> None:
    subject = make_subject()
    runtime = replace(subject.resolved.runtime, memory=1 << 30)
    subject = replace(subject, resolved=replace(subject.resolved, runtime=runtime))

    assert result_of(BY_ID["5.11"], subject).verdict is Verdict.FAILED


def test_a_throw_away_is_never_started_again_and_says_so() -> None:
    engine = edited(lambda it: it["HostConfig"].update(RestartPolicy={"Name": "no", "MaximumRetryCount": 0}))

    assert result_of(BY_ID["5.15"], replace(locked(engine), fresh=True)).verdict is Verdict.SKIPPED
    assert result_of(BY_ID["5.15"], locked(engine)).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("base: debian-12", {"4.1", "5.4", "5.7", "5.11", "5.12", "5.13", "5.26"}),
        ("resources: {memory: 2g, cpus: 1}", {"4.1", "5.4", "5.7", "5.13", "5.26"}),
        ("security: locked", set()),
        ("security: locked\nports: {ssh: 2222}", {"5.7"}),
        ("security: locked\nprofile: headless", set()),
        ("security: locked\nexpose: true", {"5.14"}),
        ('security: locked\nexpose: "::"', {"5.14"}),
        ("security: locked\nexpose: {ssh: true}\nports: {ssh: 2222}", {"5.7", "5.14"}),
        ("security: locked\nexpose: 192.0.2.7", set()),
    ],
)
def test_the_exceptions_follow_from_devbox_yaml(text: str, ids: set[str]) -> None:
    assert {item.id for item in list_exceptions(resolve(text))} == ids


@pytest.mark.parametrize("script", [cis.PROGRAMS, cis.SETUID_FILES, cis.KEY_FILES])
def test_a_look_that_cannot_be_taken_is_no_pass(script: str) -> None:
    assert subprocess.run(["/bin/sh", "-c", script], env={"PATH": "/nowhere"}, check=False).returncode != 0
