"""`expose:`: what it opens, what it leaves alone, and how what does not fit is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builder.core.config import parse_config
from builder.errors import ConfigError
from builder.model import Exposure
from tests.golden.rendering import assets, render
from tests.unit.core.builders import FACTS, make_config, make_resolved
from tests.unit.core.test_service import spec_id, spec_of

EVERYWHERE = "0.0.0.0"  # noqa: S104


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        make_resolved(text)
    return caught.value


def test_nothing_is_exposed_unless_asked_for() -> None:
    spec = spec_of()
    assert make_resolved("").runtime.exposure is None
    assert {port.bind for port in spec.ports} == {"127.0.0.1"}
    assert not any("EXPOSED" in name or "WEB" in name for name in spec.environment)
    assert "dev.devbox.exposed" not in spec.labels


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.9", "::1"])
def test_loopback_is_of_both_families(bind: str) -> None:
    assert {port.bind for port in spec_of(f'bind: "{bind}"').ports} == {bind}


@pytest.mark.parametrize("bind", [EVERYWHERE, "192.0.2.7", "::", "2001:db8::1"])
def test_binding_to_more_than_this_machine_is_refused_and_points_to_expose(bind: str) -> None:
    error = refusal(f'bind: "{bind}"')
    assert "is not a loopback address" in error.message
    assert "`expose: true`" in (error.hint or "")


@pytest.mark.parametrize("text", ["2001:DB8::7", "2001:db8:0:0:0:0:0:7", "2001:0db8::0007"])
def test_an_address_is_held_in_its_short_form(text: str) -> None:
    found = make_resolved(f'expose: "{text}"').runtime.exposure
    assert found is not None
    assert found.address == "2001:db8::7"
    assert {port.bind for port in spec_of('bind: "0:0:0:0:0:0:0:1"').ports} == {"::1"}


@pytest.mark.parametrize("name", ["7950x", "3d-box", "box.7950x", "2024.example", "0xbox", "10.0.0.1a", "x0x1f"])
def test_a_host_name_may_begin_with_a_digit(name: str) -> None:
    found = make_resolved(f"expose: {{names: ['{name}']}}").runtime.exposure
    assert found is not None
    assert found.names == (name,)


@pytest.mark.parametrize("name", ["2024", "box.7", "0x1f", "box.0x", "-box", "box-", "box."])
def test_what_a_browser_takes_for_an_address_is_no_host_name(name: str) -> None:
    assert "is not a host name" in refusal(f"expose: {{names: ['{name}']}}").message


def test_only_the_web_desktop_leaves_this_machine() -> None:
    spec = spec_of("expose: true")
    assert {port.name: port.bind for port in spec.ports} == {
        "vnc": "127.0.0.1", "web": EVERYWHERE, "ssh": "127.0.0.1", "dev": "127.0.0.1",
    }  # fmt: skip
    assert spec.environment["DEVBOX_EXPOSED"] == "1"
    assert json.loads(spec.labels["dev.devbox.exposed"]) == {"name": "", "trust": ""}


def test_ssh_goes_with_it_when_asked_for() -> None:
    spec = spec_of("expose: {address: 192.0.2.7, names: [box.example, box], ssh: true}")
    binds = {port.name: port.bind for port in spec.ports}
    assert (binds["web"], binds["ssh"], binds["vnc"]) == ("192.0.2.7", "192.0.2.7", "127.0.0.1")
    assert spec.environment["DEVBOX_WEB_NAMES"] == "box.example box"
    assert json.loads(spec.labels["dev.devbox.exposed"])["name"] == "box.example"


def test_paths_of_a_certificate_are_made_absolute() -> None:
    found = make_resolved("expose: {certificate: ./tls/cert.pem, key: ~/key.pem}").runtime.exposure
    assert found == Exposure(
        address=EVERYWHERE, name=None, names=(), ssh=False,
        certificate="/home/me/my-app/tls/cert.pem", key="/home/me/key.pem",
    )  # fmt: skip


def test_without_names_the_machines_own_is_answered_to_but_not_shown() -> None:
    facts = replace(FACTS, hostname="workhorse")
    found = make_resolved("expose: true", facts=facts).runtime.exposure
    assert found is not None
    assert (found.name, found.names) == (None, ("workhorse",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("expose: {certificate: ./cert.pem}", "belong together"),
        ("expose: {key: ./key.pem}", "belong together"),
        ("expose: {enabled: false, ssh: true}", "nothing is exposed"),
        ("expose: everywhere", "is not an IP address"),
        ("expose: 224.0.0.1", "multicast"),
        ("expose: {names: ['192.0.2.7']}", "is not a host name"),
        ("expose: {names: [Box.Example]}", "is not a host name"),
        ("expose: {names: ['a b']}", "is not a host name"),
        ("expose: {names: ['box.example:6080']}", "is not a host name"),
        ("expose: {vnc: true}", "unknown key"),
        ("expose: true\nports: {web: false}", "there is no web desktop to expose"),
        ("expose: true\ntools: {web: false}", "there is no web desktop to expose"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(text: str, told: str) -> None:
    error = refusal(text)
    assert told in str(error)
    assert "devbox.yaml:1:" in str(error)


def test_another_exposure_is_another_container() -> None:
    ids = {spec_id(spec_of(text)) for text in ("", "expose: true", "expose: 192.0.2.7", "expose: {names: box}")}
    assert len(ids) == 4


def test_the_user_of_a_locked_workstation_can_write_where_its_web_door_keeps_secrets() -> None:
    text = "base: debian-12\nsecurity: locked\nexpose: true"
    spec, place = spec_of(text, static=assets().service), render(text).plan.environment["XDG_RUNTIME_DIR"]

    assert (spec.user, spec.read_only, spec.environment["DEVBOX_EXPOSED"]) == ("1234:1235", True, "1")
    assert {port.name: port.bind for port in spec.ports} == {"vnc": "127.0.0.1", "web": EVERYWHERE, "dev": "127.0.0.1"}
    own = {folder for folder, options in spec.tmpfs.items() if options.endswith(",uid=1234,gid=1235")}
    assert any(place.startswith(f"{folder}/") for folder in own)


@pytest.mark.parametrize("text", ["expose: true", "expose: false", "expose: 192.0.2.7"])
def test_short_forms_read_back_to_themselves(text: str) -> None:
    from builder.core.config import config_as_dict

    config = make_config(text)
    again = parse_config(json.dumps(config_as_dict(config)), file="devbox.yaml", defaults=FACTS)
    assert again == config
