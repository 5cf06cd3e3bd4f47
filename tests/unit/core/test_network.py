"""Keys of devbox.yaml about where packages come from: mirrors, snapshots, certificates."""

from __future__ import annotations

import pytest

from builder.core.authorities import make_authorities
from builder.core.config import config_as_dict
from builder.core.explain import explain_config
from builder.core.network import through_mirror, through_registry
from builder.errors import ConfigError
from tests.unit.core.builders import make_config, make_resolved, tool_of

ONE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
TWO = b"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----"


def test_a_list_of_packages_is_still_all_that_apt_needs() -> None:
    assert make_config("apt: [htop, g++]").apt.packages == ("htop", "g++")
    assert make_config("apt: [htop]") == make_config("apt: {packages: htop}")
    with pytest.raises(ConfigError, match=r"apt\[1\]: .* is not the name of a Debian package") as caught:
        make_config("apt: [htop, Git]")
    assert caught.value.where == "devbox.yaml:1:13"


@pytest.mark.parametrize(
    ("text", "moment"), [("2024-01-15", "20240115T000000Z"), ("20240115T123456Z", "20240115T123456Z")]
)
def test_a_snapshot_is_a_day_or_a_moment(text: str, moment: str) -> None:
    assert make_config(f"apt: {{snapshot: {text}}}").apt.snapshot == moment
    assert make_resolved(f"base: debian-12\napt: {{snapshot: {text}}}").base.snapshot == moment


@pytest.mark.parametrize("text", ["2024-13-01", "20240115T250000Z", "yesterday", "2024", "20240115"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"apt\.snapshot"):
        make_config(f"apt: {{snapshot: {text}}}")


@pytest.mark.parametrize(
    ("base", "moment", "fine"),
    [
        ("ubuntu-22.04", "2023-02-28", False),
        ("ubuntu-22.04", "2023-03-01", True),
        ("debian-12", "2023-02-28", True),
        ("debian-12", "2005-03-11", False),
    ],
)
def test_a_moment_before_the_first_snapshot_is_refused_where_it_is_written(base: str, moment: str, fine: bool) -> None:
    text = f"base: {base}\napt: {{snapshot: {moment}}}"
    if fine:
        assert make_resolved(text).base.snapshot
        return
    with pytest.raises(ConfigError, match=r"there are no snapshots of .* from before") as caught:
        make_resolved(text)
    assert caught.value.where == "devbox.yaml:2:17"


def test_a_service_of_snapshots_says_where_the_moment_goes() -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.snapshot\.debian: .* has no \{timestamp\}"):
        make_config("mirrors: {snapshot: {debian: 'https://host.example/debian'}}")


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        (None, "https://code.example/x.tar.gz"),
        ("https://mirror.example/git/", "https://mirror.example/git/x.tar.gz"),
        ("https://mirror.example/{host}/raw", "https://mirror.example/code.example/raw/x.tar.gz"),
    ],
)
def test_a_mirror_of_archives_stands_in_for_their_host(prefix: str | None, address: str) -> None:
    assert through_mirror("https://code.example/x.tar.gz", prefix) == address
    text = f"mirrors: {{archives: '{prefix}'}}" if prefix else ""
    archive = tool_of(make_resolved(text), "oh-my-zsh").archive
    assert archive is not None
    assert archive.location == address


def test_a_source_that_devbox_yaml_names_is_asked_for_itself() -> None:
    text = "sources: {oh-my-zsh: 'https://mine.example/x.tar'}\nmirrors: {archives: 'https://mirror.example/'}"
    archive = tool_of(make_resolved(text), "oh-my-zsh").archive
    assert archive is not None
    assert archive.location == "https://mine.example/x.tar"


@pytest.mark.parametrize(
    ("image", "pulled"),
    [
        ("debian:12-slim", "hub.example/mirror/library/debian:12-slim"),
        ("team/base:1", "hub.example/mirror/team/base:1"),
        ("registry.example/team/base:1", "registry.example/team/base:1"),
        ("localhost/base", "localhost/base"),
        ("host:5000/base", "host:5000/base"),
    ],
)
def test_a_mirror_of_images_stands_in_where_no_registry_is_named(image: str, pulled: str) -> None:
    assert through_registry(image, "hub.example/mirror") == pulled
    assert through_registry(image, None) == image


def test_what_is_installed_has_to_be_named() -> None:
    assert make_config("ca_bundle: ./ca.pem").ca_bundle.install is False
    with pytest.raises(ConfigError, match="`install` needs a `path`"):
        make_config("ca_bundle: {install: true}")


def test_certificates_are_files_each_whatever_surrounds_them() -> None:
    files = make_authorities(b"# mine\n" + TWO + b"\r\n\n" + ONE + b"\n" + TWO)
    assert {path.rpartition("/")[2]: file.data for path, file in files.items()} == {
        "devbox-ca.pem": ONE + b"\n" + TWO + b"\n",
        "devbox-01.crt": ONE + b"\n",
        "devbox-02.crt": TWO + b"\n",
    }


def test_what_the_machine_says_is_explained_where_devbox_yaml_is_silent() -> None:
    text = "base: debian-12\nmirrors: {npm: 'https://npm.example/'}"
    network = {
        "mirrors.npm": ("https://other.example/", "npm's settings"),
        "mirrors.pypi": ("https://pypi.example/", "pip's settings"),
        "http_proxy": ("http://proxy.example", "http_proxy of the environment"),
    }
    found = {item.key: item for item in explain_config(make_config(text), make_resolved(text), network)}
    assert (found["mirrors.npm"].value, found["mirrors.npm"].origin) == ("https://npm.example/", "devbox.yaml:2")
    assert found["mirrors.pypi"].origin == "pip's settings"
    assert list(found)[-1] == "http_proxy"
    assert found["ca_bundle.path"].origin == "default"


def test_the_whole_configuration_names_the_keys() -> None:
    told = config_as_dict(make_config(""))
    assert told["apt"] == {"packages": [], "snapshot": None}
    assert told["ca_bundle"] == {"path": None, "install": False}
