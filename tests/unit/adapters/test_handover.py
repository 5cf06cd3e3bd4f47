"""The files that a build step mounts: what apt, npm and pip are told, and that no password stands where it is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.adapters.handover import APT_CA, APT_PARTS, APT_SOURCES, render_build_secrets
from builder.adapters.hostinfo import NetworkSettings
from builder.errors import HostError

GATHER = Path(__file__).parents[3] / "images/rootfs/init/usr/lib/devbox/apt-sources"
PROXY = "http://proxy.example:3128"
LINES = ("deb https://apt.corp.example/debian bookworm main", "deb http://other.example/debian bookworm-updates main")


def test_a_setting_cannot_break_out_of_its_line() -> None:
    for value in ('http://x";\nmalicious', "http://x y", "http://x\n"):
        with pytest.raises(HostError):
            render_build_secrets(NetworkSettings(proxies={"http_proxy": value}))


def apt_conf(*sources: str, dated: bool = False, **settings: object) -> list[str]:
    made = NetworkSettings(**settings)  # type: ignore[arg-type]
    return render_build_secrets(made, sources, dated=dated)["apt.conf"].decode().splitlines()


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", []),
        ("localhost, .corp.example", ["apt.corp.example", "localhost"]),
        ("corp.example", ["apt.corp.example", "corp.example"]),
        ("127.0.0.1,*.corp.example", ["127.0.0.1", "apt.corp.example"]),  # was dropped whole, as if it were a proxy
        ("apt.corp.example,10.0.0.0/8", ["apt.corp.example"]),
        ("orp.example", ["orp.example"]),
    ],
)
def test_apt_asks_directly_what_no_proxy_covers(no_proxy: str, direct: list[str]) -> None:
    lines = apt_conf(*LINES, proxies={"http_proxy": PROXY, "no_proxy": no_proxy})
    assert [line for line in lines if "::Proxy" in line] == [
        f'Acquire::http::Proxy "{PROXY}";',
        *(f'Acquire::http::Proxy::{host} "DIRECT";' for host in direct),
    ]


def test_apt_has_no_proxy_where_everything_goes_past_it() -> None:
    assert apt_conf(proxies={"http_proxy": PROXY, "no_proxy": "*"}) == []


def test_apt_is_told_of_mirror_authority_and_moment_and_only_of_what_there_is() -> None:
    files = render_build_secrets(NetworkSettings(ca_bundle=b"PEM"), LINES, dated=True)
    assert files["sources.list"].decode().splitlines() == list(LINES)
    assert files["ca.crt"] == b"PEM"
    assert files["apt.conf"].decode().splitlines() == [
        f'Acquire::https::CAInfo "{APT_CA}";',
        f'Dir::Etc::SourceList "{APT_SOURCES}";',
        f'Dir::Etc::SourceParts "{APT_PARTS}";',
        'Acquire::Check-Valid-Until "false";',
    ]
    assert apt_conf(ca_bundle=None) == []


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt here")
def test_apt_itself_reads_the_mirror_in_place_of_its_own_sources_and_keeps_others(tmp_path: Path) -> None:
    parts, cache = tmp_path / "sources.list.d", tmp_path / "cache"
    parts.mkdir()
    stanza = "Types: deb\nURIs: http://{}.example/\nSuites: x\nComponents: main\n"
    (parts / "debian.sources").write_text(stanza.format("own"))
    (parts / "team.sources").write_text(stanza.format("team"))
    (tmp_path / "sources").write_text(LINES[0] + "\n")
    lines = apt_conf(*LINES[:1], proxies={"http_proxy": PROXY, "no_proxy": "a.example"})
    conf = tmp_path / "apt.conf"
    told = "\n".join(lines).replace(APT_SOURCES, f"{tmp_path}/sources").replace(str(Path(APT_PARTS).parent), str(cache))
    conf.write_text(told)
    places = {"DEVBOX_APT_PARTS": str(parts), "DEVBOX_APT_CACHE": str(cache)}
    for _ in range(2):
        subprocess.run([str(GATHER)], env={**os.environ, **places}, check=True)
    ask = ["apt-get", "--option", f"Dir::State::lists={tmp_path}", "update", "--print-uris"]
    done = subprocess.run(ask, env={**os.environ, "APT_CONFIG": str(conf)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked = {line.split("'")[1].partition("/dists/")[0] for line in done.stdout.splitlines()}
    assert asked == {"https://apt.corp.example/debian", "http://team.example"}


def test_a_login_in_the_address_of_npms_registry_stands_apart_from_it() -> None:
    """npm notes where each package came from in a file that stays in the image."""
    files = render_build_secrets(NetworkSettings(npm_registry="https://me:ge%40heim@npm.example:8443/npm/"))
    assert files["npmrc"] == (
        b"registry=https://npm.example:8443/npm/\n//npm.example:8443/npm/:_auth=bWU6Z2VAaGVpbQ==\n"
    )


def test_the_login_of_a_package_index_is_in_a_netrc_and_in_no_address() -> None:
    """pip puts addresses on the command line when it calls itself."""
    index = {
        "index-url": "https://me:ge%40heim@one.example:8443/simple",
        "extra-index-url": "https://token@two.example/simple https://three.example/simple",
        "trusted-host": "three.example:80",
    }
    files = render_build_secrets(NetworkSettings(pip_index=index))
    assert files["pip.conf"] == (
        b"[global]\nindex-url = https://one.example:8443/simple\n"
        b"extra-index-url = https://two.example/simple https://three.example/simple\ntrusted-host = three.example:80\n"
    )
    assert files["netrc"].decode().splitlines() == [
        "machine one.example login me password ge@heim",
        "machine two.example login token password x",
    ]


@pytest.mark.parametrize("password", ["a%20geheim", "%22geheim", "%5Cgeheim", "geheim%0A"])
def test_a_login_that_a_netrc_cannot_hold_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(HostError) as caught:
        render_build_secrets(NetworkSettings(pip_index={"index-url": f"https://me:{password}@one.example/simple"}))
    assert "geheim" not in str(caught.value)
    assert "one.example" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ("https://v:geheim@one.example/other", True),
        ("https://u:geheim@ONE.example:8443/other", True),
        ("https://u:eins@one.example/other https://one.example/open https://v:geheim@two.example/simple", False),
    ],
)
def test_two_logins_of_one_host_are_refused_and_not_shown(more: str, *, refused: bool) -> None:
    """A netrc has one login for a host, whatever the port and the path."""
    settings = NetworkSettings(pip_index={"index-url": "https://u:eins@one.example/simple", "extra-index-url": more})
    if not refused:
        hosts = [line.split()[1] for line in render_build_secrets(settings)["netrc"].splitlines()]
        assert hosts == [b"one.example", b"two.example"]
        return
    with pytest.raises(HostError, match=r"two logins") as caught:
        render_build_secrets(settings)
    assert caught.value.where == "package index one.example"
    assert "geheim" not in str(caught.value)
    assert "eins" not in str(caught.value)


def test_an_error_about_a_setting_does_not_show_it() -> None:
    with pytest.raises(HostError) as caught:
        render_build_secrets(NetworkSettings(proxies={"http_proxy": 'http://me:geheim"@proxy.example'}))
    assert "geheim" not in str(caught.value)
    assert caught.value.where == "proxy"


@pytest.mark.parametrize(
    ("index", "no_proxy", "through"),
    [
        ({"index-url": "https://pypi.corp.example/simple"}, "localhost, .corp.example", False),
        ({"index-url": "https://pypi.corp.example/simple"}, "corp.example", False),
        ({"index-url": "https://me:pw@pypi.corp.example:8443/simple"}, "*", False),
        ({"index-url": "https://pypi.corp.example/simple"}, "", True),
        ({"index-url": "https://pypi.corp.example/simple"}, "corp", True),
        (
            {"index-url": "https://a.corp.example/", "extra-index-url": "https://b.corp.example/"},
            ".corp.example",
            False,
        ),
        # One proxy for all: what needs it decides.
        ({"index-url": "https://a.corp.example/", "extra-index-url": "https://other.example/"}, ".corp.example", True),
        ({"extra-index-url": "https://a.corp.example/"}, ".corp.example", True),
        ({}, "*", True),
    ],
)
def test_an_index_that_no_proxy_covers_is_asked_directly(index: dict[str, str], no_proxy: str, through: bool) -> None:
    proxies = {"https_proxy": "http://proxy.example:3128", "no_proxy": no_proxy}
    files = render_build_secrets(NetworkSettings(pip_index=index, proxies=proxies))
    assert (b"\nproxy = " in files["pip.conf"]) is through
    noproxy = [line for line in files["npmrc"].splitlines() if line.startswith(b"noproxy")]
    assert noproxy == ([b"noproxy=" + no_proxy.replace(" ", "").encode()] if no_proxy else [])
