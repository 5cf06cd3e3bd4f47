"""What is taken over from this machine, from which file, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.adapters.handover import render_build_secrets
from builder.adapters.hostinfo import (
    NetworkSettings,
    find_addresses,
    find_folder,
    find_host_facts,
    find_network_settings,
)
from builder.errors import HostError

PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def test_facts_name_the_folder_and_the_caller(tmp_path: Path, etc: Path) -> None:
    (etc / "timezone").write_text("Europe/Berlin\n")
    facts = find_host_facts(tmp_path, environ={"HOME": "/home/me"}, etc=etc)
    assert (facts.folder, facts.workspace, facts.home) == (tmp_path.name, str(tmp_path), "/home/me")
    assert facts.arch in {"amd64", "arm64"}
    assert facts.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "known"),
    [("7950X", "7950x"), ("box.lan", "box.lan"), ("(none)", None), ("localhost", None), ("2024", None), ("a..b", None)],
)
def test_the_name_of_the_machine_is_one_for_an_address_or_none(
    name: str, known: str | None, tmp_path: Path, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.adapters.hostinfo.platform.node", lambda: name)
    assert find_host_facts(tmp_path, environ={}, etc=etc).hostname == known


def test_ipv6_addresses_that_others_can_use_and_that_stay_are_found(tmp_path: Path) -> None:
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "20010db8000000000000000000000007 02 40 00 00     eth0\n"
        "20010db800000000a1b2c3d4e5f60718 02 40 00 01     eth0\n"  # temporary
        "20010db8000000000000000000000008 02 40 00 60     eth0\n"  # tentative, deprecated
        "fe800000000000000000000000000007 02 40 20 80     eth0\n"
        "fd000000000000000000000000000001 03 40 00 80  docker0\n"
    )
    assert [text for text in find_addresses(tmp_path / "if_inet6") if ":" in text] == ["2001:db8::7"]
    assert not [text for text in find_addresses(tmp_path / "missing") if ":" in text]


def test_time_zone_comes_from_tz_or_where_localtime_leads(tmp_path: Path, etc: Path) -> None:
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert find_host_facts(tmp_path, environ={}, etc=etc).timezone == "Asia/Tokyo"
    assert find_host_facts(tmp_path, environ={"TZ": ":Asia/Seoul"}, etc=etc).timezone == "Asia/Seoul"
    assert find_host_facts(tmp_path, environ={"TZ": "<+03>-3"}, etc=etc).timezone == "Asia/Tokyo"


def test_xdg_folders_have_defaults_and_ignore_relative_ones() -> None:
    assert find_folder("XDG_STATE_HOME", ".local/state", {"HOME": "/h"}) == Path("/h/.local/state")
    assert find_folder("XDG_STATE_HOME", ".local/state", {"HOME": "/h", "XDG_STATE_HOME": "x"}) == Path(
        "/h/.local/state"
    )
    assert find_folder("XDG_STATE_HOME", ".local/state", {"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s")


def test_a_machine_without_settings_hands_on_nothing(tmp_path: Path, etc: Path) -> None:
    settings = find_network_settings(environ={"HOME": str(tmp_path)}, etc=etc)
    assert settings == NetworkSettings()
    names = ("apt.conf", "ca.crt", "netrc", "npmrc", "pip.conf", "sources.list")
    assert render_build_secrets(settings) == dict.fromkeys(names, b"")


def test_settings_of_pip_and_npm_are_taken_over_and_tokens_are_not(tmp_path: Path, etc: Path) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (etc / "pip.conf").write_text("[global]\nindex-url = https://old.example/simple\n")
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://new.example/simple\n")
    (tmp_path / "ca.pem").write_bytes(PEM)
    (tmp_path / ".npmrc").write_text(
        "; mine\nregistry=https://${WHO}.example/npm/\n//npm.example/:_authToken=geheim\ncafile="
        + str(tmp_path / "ca.pem")
    )
    settings = find_network_settings(environ={"HOME": str(tmp_path), "WHO": "npm"}, etc=etc)
    assert settings.npm_registry == "https://npm.example/npm/"
    assert settings.ca_bundle == PEM
    files = render_build_secrets(settings)
    assert files["ca.crt"] == PEM
    assert files["npmrc"] == b"registry=https://npm.example/npm/\ncafile=/run/secrets/ca.crt\n"
    assert files["pip.conf"] == (b"[global]\nindex-url = https://new.example/simple\ncert = /run/secrets/ca.crt\n")


def test_an_index_on_this_machines_disk_is_not_handed_on(tmp_path: Path, etc: Path) -> None:
    (etc / "pip.conf").write_text(
        "[global]\nextra-index-url = file:///srv/simple\n  https://more.example/simple\ntrusted-host = more.example\n"
    )
    settings = find_network_settings(environ={"HOME": str(tmp_path)}, etc=etc)
    assert settings.pip_index == {"extra-index-url": "https://more.example/simple", "trusted-host": "more.example"}


def test_an_index_on_loopback_is_not_handed_on(tmp_path: Path, etc: Path) -> None:
    (etc / "pip.conf").write_text(
        "[global]\nindex-url = http://127.0.0.1:3141/simple\nextra-index-url = http://localhost/simple\n"
        "  https://more.example/simple\ntrusted-host = localhost:3141\n"
    )
    settings = find_network_settings(environ={"HOME": str(tmp_path)}, etc=etc)
    assert settings.pip_index == {"extra-index-url": "https://more.example/simple"}


def test_variables_win_over_files(tmp_path: Path, etc: Path) -> None:
    (etc / "pip.conf").write_text("[global]\nindex-url = https://old.example/simple\n")
    environ = {
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": "https://env.example/simple",
        "npm_config_registry": "https://n/",
    }
    settings = find_network_settings(environ=environ, etc=etc)
    assert settings.npm_registry == "https://n/"
    assert settings.pip_index == {"index-url": "https://env.example/simple"}


def test_proxies_reach_apt_and_npm_but_loopback_ones_do_not(tmp_path: Path, etc: Path) -> None:
    environ = {"HOME": str(tmp_path), "HTTP_PROXY": "http://proxy.example:3128", "https_proxy": "http://127.0.0.1:3128"}
    settings = find_network_settings(environ=environ, etc=etc)
    assert settings.proxies == {"http_proxy": "http://proxy.example:3128", "https_proxy": "http://127.0.0.1:3128"}
    files = render_build_secrets(settings)
    assert files["apt.conf"] == b'Acquire::http::Proxy "http://proxy.example:3128";\n'
    assert files["npmrc"] == b"proxy=http://proxy.example:3128\n"
    assert files["pip.conf"] == (
        b"[download]\nproxy = http://proxy.example:3128\n[install]\nproxy = http://proxy.example:3128\n"
    )


@pytest.mark.parametrize("content", [None, b"no certificate", PEM + b"-----BEGIN PRIVATE KEY-----"])
def test_a_ca_file_that_is_none_is_an_error(tmp_path: Path, etc: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HostError, match="SSL_CERT_FILE"):
        find_network_settings(environ={"HOME": str(tmp_path), "SSL_CERT_FILE": str(file)}, etc=etc)


def test_proxies_of_dockers_client_are_those_of_builds(tmp_path: Path, etc: Path) -> None:
    (tmp_path / ".docker").mkdir()
    told = {"httpProxy": "http://bridge.example:3128", "noProxy": "*.corp.example"}
    (tmp_path / ".docker/config.json").write_text(json.dumps({"proxies": {"default": told}}))
    environ = {"HOME": str(tmp_path), "http_proxy": "http://127.0.0.1:3128", "https_proxy": "http://env.example:1"}
    settings = find_network_settings(environ=environ, etc=etc)
    assert settings.proxies == {
        "http_proxy": "http://bridge.example:3128",
        "https_proxy": "http://env.example:1",
        "no_proxy": "*.corp.example",
    }
    assert settings.origins["http_proxy"].endswith("/.docker/config.json")
    assert settings.origins["https_proxy"] == "https_proxy of the environment"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"proxies": 1}', '{"proxies": {"default": {"httpProxy": 1}}}'])
def test_settings_of_dockers_client_that_say_nothing_are_passed_over(tmp_path: Path, etc: Path, text: str) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(text)
    assert find_network_settings(environ={"HOME": str(tmp_path)}, etc=etc).proxies == {}


def test_the_trust_of_a_machine_is_taken_over_where_somebody_added_to_it(tmp_path: Path, etc: Path) -> None:
    (etc / "ssl/certs").mkdir(parents=True)
    (etc / "ssl/certs/ca-certificates.crt").write_bytes(PEM)
    environ = {"HOME": str(tmp_path)}
    assert find_network_settings(environ=environ, etc=etc).ca_bundle is None
    (tmp_path / "usr/local/share/ca-certificates").mkdir(parents=True)
    (tmp_path / "usr/local/share/ca-certificates/company.crt").write_bytes(PEM)
    settings = find_network_settings(environ=environ, etc=etc)
    assert settings.ca_bundle == PEM
    assert settings.origins["ca_bundle.path"] == "this machine's trust store"
    (etc / "pip.conf").write_text(f"[global]\ncert = {tmp_path}/usr/local/share/ca-certificates/company.crt\n")
    assert find_network_settings(environ=environ, etc=etc).origins["ca_bundle.path"] == "pip's settings (cert)"
