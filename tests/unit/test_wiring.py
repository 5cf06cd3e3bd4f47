"""What the composition root decides: settings of devbox.yaml over those of the machine, and the fingerprint."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.adapters.engine.host import find_host
from builder.core.config import parse_config
from builder.errors import ConfigError
from builder.shortcut import take_fingerprint
from builder.wiring import find_builder, find_settings, later
from tests.unit.core.builders import FACTS


def test_an_index_of_devbox_yaml_takes_the_place_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://machine.example/simple")
    plain = parse_config("", file="devbox.yaml", defaults=FACTS)
    asked = parse_config("mirrors: {pypi: 'https://mine.example/simple'}", file="devbox.yaml", defaults=FACTS)
    assert find_settings(plain, FACTS).pip_index["index-url"] == "https://machine.example/simple"
    assert find_settings(asked, FACTS).pip_index == {"index-url": "https://mine.example/simple"}


def test_on_this_machine_too_an_index_of_devbox_yaml_is_the_only_one_that_pip_knows(tmp_path: Path) -> None:
    """As pip itself sees it, over a file of the machine's settings that names more."""
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://a.example/\nextra-index-url = https://b.example/ https://c.example/\n"
    )
    asked = parse_config("mirrors: {pypi: 'https://mine.example/simple'}", file="devbox.yaml", defaults=FACTS)
    environment = {**os.environ, "PIP_CONFIG_FILE": str(config), **find_settings(asked, FACTS).pip}
    done = subprocess.run(
        [sys.executable, "-c", SHOW_INDEXES], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["https://mine.example/simple"]


SHOW_INDEXES = """
from pip._internal.commands import create_command
options, _ = create_command("download").parse_args(["x"])
print(*{options.index_url, *options.extra_index_urls})
"""


def test_the_bundle_of_devbox_yaml_wins_in_pip_whatever_this_machine_has(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    found = find_settings(parse_config(f"ca_bundle: {bundle}", file="devbox.yaml", defaults=FACTS), FACTS)
    assert found.pip == {"PIP_CERT": str(bundle), "REQUESTS_CA_BUNDLE": str(bundle)}
    assert found.ca_bundle == bundle.read_bytes()


@pytest.mark.parametrize(
    ("index", "trusted"),
    [
        ("https://mine.example/simple", "mine.example"),
        ("https://next.example:8443/simple", "next.example:8443"),
        ("https://next.example/simple", None),
        ("http://plain.example:8080/", "plain.example"),
    ],
)
def test_an_index_of_devbox_yaml_is_trusted_as_the_machine_does_and_by_plain_http(
    monkeypatch: pytest.MonkeyPatch, index: str, trusted: str | None
) -> None:
    monkeypatch.setenv("PIP_TRUSTED_HOST", "more.example mine.example next.example:8443")
    asked = parse_config(f"mirrors: {{pypi: '{index}'}}", file="devbox.yaml", defaults=FACTS)
    found = find_settings(asked, FACTS)
    assert found.pip_index.get("trusted-host") == trusted
    assert found.pip.get("PIP_TRUSTED_HOST") == trusted


@pytest.mark.parametrize(
    ("config", "file", "seen"),
    [
        ("framework: {path: ./tools}", "tools/cli.py", True),
        ("framework: {path: ./tools}", "tools/tests/test_cli.py", False),
        ("framework: {wheel: ./tools.whl}", "tools.whl", True),
        ("framework: none", "tools/cli.py", False),
        ("framework: [", "tools/cli.py", False),
        ("", "tools/cli.py", False),
    ],
)
def test_the_fingerprint_follows_a_framework_on_this_machine(
    tmp_path: Path, config: str, file: str, *, seen: bool
) -> None:
    (tmp_path / "devbox.yaml").write_text(config)
    before = take_fingerprint(tmp_path, os.environ)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("something")
    assert (take_fingerprint(tmp_path, os.environ) != before) is seen


@pytest.mark.parametrize("named", ["~", "~/"])
def test_the_fingerprint_follows_a_catalogue_that_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/tools").mkdir(parents=True)
    (tmp_path / "devbox.yaml").write_text(f"catalogue: '{named}'")
    before = take_fingerprint(tmp_path, os.environ)
    (tmp_path / "home/tools/mine.yaml").write_text("something")
    assert take_fingerprint(tmp_path, os.environ) != before


def test_the_fingerprint_follows_a_given_certificate_and_the_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devbox.yaml").write_text("expose: {certificate: ./cert.pem, key: ./key.pem}")
    seen = set()
    for text in ("one", "the next one"):
        (tmp_path / "cert.pem").write_text(text)
        (tmp_path / "key.pem").write_text(text)
        seen.add(take_fingerprint(tmp_path, os.environ))
    later = time.time() + 31 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    seen.add(take_fingerprint(tmp_path, os.environ))
    assert len(seen) == 3


FAR = {"DOCKER_HOST": "ssh://far"}


@pytest.mark.parametrize(
    ("own", "chosen", "leads"),
    [
        ({}, FAR, "unix:///var/run/docker.sock"),
        (FAR, FAR, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///run/mine.sock"}, FAR, "unix:///run/mine.sock"),
        ({"DOCKER_HOST": "tcp://far:2375"}, {"DOCKER_HOST": "tcp://far:2375"}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "ssh://other"}, FAR, "unix:///var/run/docker.sock"),
    ],
)
def test_what_is_built_here_is_built_by_the_engine_of_this_machine(
    own: dict[str, str], chosen: dict[str, str], leads: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = dict.fromkeys(("HOME", "XDG_RUNTIME_DIR"), str(tmp_path_factory.mktemp("q")))  # a short path, for sockets
    found = find_host(find_builder({**home, **own}, {**home, **chosen}))
    assert (found.url, found.remote) == (leads, "")


def test_to_build_here_for_this_machine_is_refused(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match="the workstation's engine is this machine's own"):
        find_builder(environment, environment)


def test_what_comes_later_is_made_once_and_when_it_is_first_asked() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("made")
        return "text"

    stand_in = later(make)
    assert made == []
    assert (stand_in.upper(), stand_in.title(), made) == ("TEXT", "Text", ["made"])
