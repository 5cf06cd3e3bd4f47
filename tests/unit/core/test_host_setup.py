"""Which commands a machine needs to have an engine: over what may be found there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.host_setup import Findings, Root, make_orders, parse_findings
from builder.errors import HostError

FACTS = {
    "user": "me", "uid": "1000", "sudo": "FREELY", "name": "Debian GNU/Linux 12 (bookworm)", "system": "Linux",
    "id": "debian", "version": "12", "halfway": "", "engine": "", "socket": "", "usable": "",
    "listening": "/run/systemd/notify ", "group": "", "groups": "me", "member": "me", "systemd": "yes", "script": "",
}  # fmt: skip
BARE = parse_findings("me@box:22", FACTS)
RUNS = {"engine": True, "socket": "/var/run/docker.sock", "listens": True, "socket_group": "docker"}


def verbs(found: Findings) -> list[str]:
    """The words that tell the orders apart."""
    known = ("--configure", "update", "install", "systemctl", "service", "usermod")
    return [next(word for word in known if word in order.argv) for order in make_orders(found)]


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, ["update", "install", "systemctl", "usermod"]),
        ({"systemd": False}, ["update", "install", "service", "usermod"]),
        ({"root": Root.ITSELF}, ["update", "install", "systemctl"]),
        ({"member": frozenset({"docker"})}, ["update", "install", "systemctl"]),
        ({"engine": True}, ["systemctl", "usermod"]),  # it is stopped
        ({"engine": True, "systemd": False, "script": True}, ["service", "usermod"]),
        (
            {"engine": True, "socket": "/var/run/docker.sock", "usable": True},
            ["systemctl", "usermod"],
        ),  # nobody listens
        ({"halfway": True}, ["--configure", "update", "install", "systemctl", "usermod"]),
        ({"halfway": True, "engine": True}, ["--configure", "systemctl", "usermod"]),
        ({**RUNS, "halfway": True}, ["usermod"]),  # of something else
        (RUNS, ["usermod"]),
        ({**RUNS, "member": frozenset({"docker"})}, []),  # a new login is all that is missing
        ({**RUNS, "usable": True}, []),
        ({**RUNS, "root": Root.ITSELF}, []),
        ({**RUNS, "usable": True, "root": Root.NEVER, "distribution": "fedora"}, []),  # what is fine needs nothing
        ({**RUNS, "distribution": "fedora"}, ["usermod"]),
    ],
)
def test_only_what_is_missing_is_done(more: dict[str, object], wanted: list[str]) -> None:
    assert verbs(replace(BARE, **more)) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distribution": "fedora", "system": "Fedora Linux 40"}, "Fedora Linux 40 is neither Debian nor Ubuntu"),
        ({"distribution": "raspbian"}, "neither Debian nor Ubuntu"),
        ({"version": (10,)}, "older than 20.10"),
        ({"distribution": "ubuntu", "version": (18, 4)}, "older than 20.10"),
        ({"root": Root.NEVER}, "no sudo"),
        ({"engine": True, "systemd": False}, "neither systemd nor a script"),
        ({**RUNS, "socket_group": "root"}, "/var/run/docker.sock is root's alone"),
        (
            {**RUNS, "groups": frozenset({"docker"}), "member": frozenset({"docker"})},
            "may not use /var/run/docker.sock",
        ),
    ],
)
def test_what_no_command_of_ours_mends_is_refused_with_what_to_do(more: dict[str, object], words: str) -> None:
    with pytest.raises(HostError, match=words) as caught:
        make_orders(replace(BARE, **more))  # type: ignore[arg-type]
    assert caught.value.where == "me@box:22"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("distribution", "version"), [("debian", (11,)), ("debian", ()), ("ubuntu", (20, 4)), ("ubuntu", (24, 4))]
)
def test_the_oldest_systems_whose_engine_will_do_are_taken(distribution: str, version: tuple[int, ...]) -> None:
    assert "install" in verbs(replace(BARE, distribution=distribution, version=version))


def test_who_cannot_become_root_is_told_what_root_would_have_to_run() -> None:
    with pytest.raises(HostError) as caught:
        make_orders(replace(BARE, **RUNS, root=Root.NEVER))  # type: ignore[arg-type]
    assert caught.value.hint
    assert caught.value.hint.endswith("usermod --append --groups docker me")


def test_the_group_is_that_of_the_socket_of_an_engine_that_runs() -> None:
    (order,) = make_orders(replace(BARE, **{**RUNS, "socket_group": "engine"}))  # type: ignore[arg-type]
    assert order.argv[-2:] == ("engine", "me")


def test_a_command_is_shown_as_a_person_would_type_it() -> None:
    update = make_orders(BARE)[0]
    assert update.show(Root.ASKED) == "sudo env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get update"
    assert update.show(Root.ITSELF) == "env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get update"


@pytest.mark.parametrize(
    ("facts", "listens", "engine"),
    [
        ({"socket": "/var/run/docker.sock"}, False, False),  # left by one that was killed
        ({"socket": "/var/run/docker.sock", "listening": "/run/docker.sock "}, True, True),
        ({"socket": "/run/x/docker.sock", "listening": "/run/docker.sock /run/x/docker.sock"}, True, True),
        ({"engine": "/usr/bin/dockerd"}, False, True),
        ({"listening": "/run/docker.sock "}, False, False),  # another user's view: the path is not there
    ],
)
def test_an_engine_runs_where_somebody_listens_on_its_socket(
    facts: dict[str, str], listens: bool, engine: bool
) -> None:
    found = parse_findings("me@box:22", {**FACTS, **facts})
    assert (found.listens, found.engine) == (listens, engine)


def test_root_needs_no_sudo_and_a_system_without_a_version_has_none() -> None:
    found = parse_findings("x", {**FACTS, "uid": "0", "sudo": "NEVER", "version": "", "name": ""})
    assert (found.root, found.version, found.system) == (Root.ITSELF, (), "Linux")
    assert parse_findings("x", {**FACTS, "version": "22.04"}).version == (22, 4)
