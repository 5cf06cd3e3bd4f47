"""Addresses of other machines, and which one a verb works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.adapters.engine.host import find_host
from builder.adapters.remote.address import find_place, parse_address
from builder.adapters.remote.choice import choose_host
from builder.cli.habits import hoist
from builder.errors import ConfigError, HostError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ssh://box", ("box", None, None)),
        ("ssh://me@box.example.org/", ("box.example.org", "me", None)),
        ("ssh://me@192.0.2.7:2222", ("192.0.2.7", "me", 2222)),
        ("ssh://[2001:db8::1]:22", ("2001:db8::1", None, 22)),
    ],
)
def test_an_address_has_a_host_and_maybe_more(text: str, parts: tuple[str, str | None, int | None]) -> None:
    found = parse_address(text, where="x")
    assert (found.host, found.user, found.port) == parts
    assert parse_address(str(found), where="x") == found


@pytest.mark.parametrize(
    "text",
    [
        "box",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://box;reboot",
        "ssh://$(id)@box",
        "ssh://me:secret@box",
        "ssh://box:70000",
        "ssh://box/path",
        "ssh://a b",
    ],
)
def test_what_a_shell_or_ssh_could_misread_is_no_address_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text, where="--host")
    assert "no address" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_host_of_the_command_line_comes_before_that_of_the_file_and_that_before_docker_host() -> None:
    before = {"DOCKER_HOST": "unix:///x"}
    written = b"host: ssh://file\n"
    chosen = [choose_host(before, written, file="f", asked=asked)["DOCKER_HOST"] for asked in ("ssh://line", None)]
    assert chosen == ["ssh://line", "ssh://file"]
    assert choose_host(before, b"name: x\n", file="f") is before
    assert choose_host(before, None, file="f") is before


def test_local_is_this_machine_whatever_the_file_says() -> None:
    before = {"DOCKER_HOST": "unix:///x"}
    assert choose_host(before, b"host: ssh://file\n", file="f", asked="local") is before
    assert choose_host(before, b"host: local\n", file="f") is before


def test_the_engine_elsewhere_is_behind_the_socket_of_its_tunnel() -> None:
    environment = {"DOCKER_HOST": "ssh://me@box/", "XDG_RUNTIME_DIR": "/run"}
    host = find_host(environment)
    assert host.remote == "ssh://me@box"
    assert host.named == host.remote
    assert host.socket == find_place(parse_address("ssh://me@box", where="x"), environment).engine


def test_two_machines_have_two_places_and_a_place_is_below_the_state_where_there_is_no_runtime_folder() -> None:
    places = {find_place(parse_address(text, where="x"), {"HOME": "/h"}).folder for text in ("ssh://a", "ssh://b")}
    assert len(places) == 2
    assert {place.parent for place in places} == {Path("/h/.local/state/devbox-tunnels")}


def test_a_path_that_no_socket_can_have_is_told_before_it_is_tried() -> None:
    with pytest.raises(HostError, match="too long"):
        find_place(parse_address("ssh://a", where="x"), {"HOME": "/" + "h" * 90})


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (["up", "--host", "ssh://a"], ["--host", "ssh://a", "up"]),
        (["-C", "x", "down", "--volumes", "--host=local"], ["--host=local", "-C", "x", "down", "--volumes"]),
        (["exec", "--host", "ssh://a", "ls"], ["--host", "ssh://a", "exec", "ls"]),
        (["exec", "mysql", "--host", "db"], ["exec", "mysql", "--host", "db"]),
        (["ssh", "--", "curl", "--host"], ["ssh", "--", "curl", "--host"]),
        (["status"], ["status"]),
    ],
)
def test_host_may_stand_behind_a_verb_but_not_in_somebody_elses_command(words: list[str], moved: list[str]) -> None:
    assert hoist(words) == moved
