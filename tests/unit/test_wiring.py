"""What the composition root decides: settings of devbox.yaml over those of the machine, and the fingerprint."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from builder.core.config import parse_config
from builder.shortcut import take_fingerprint
from builder.wiring import find_settings
from tests.unit.core.builders import FACTS


def test_an_index_of_devbox_yaml_takes_the_place_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://machine.example/simple")
    plain = parse_config("", file="devbox.yaml", defaults=FACTS)
    asked = parse_config("mirrors: {pypi: 'https://mine.example/simple'}", file="devbox.yaml", defaults=FACTS)
    assert find_settings(plain, FACTS).pip_index["index-url"] == "https://machine.example/simple"
    assert find_settings(asked, FACTS).pip_index == {"index-url": "https://mine.example/simple"}


@pytest.mark.parametrize(
    ("index", "in_a_build", "on_this_machine"),
    [
        ("https://mine.example/simple", "mine.example", "more.example mine.example next.example:8443"),
        ("https://next.example:8443/simple", "next.example:8443", "more.example mine.example next.example:8443"),
        ("https://next.example/simple", None, None),
        ("http://plain.example:8080/", "plain.example", "more.example mine.example next.example:8443 plain.example"),
    ],
)
def test_an_index_of_devbox_yaml_is_trusted_as_the_machine_does_and_by_plain_http(
    monkeypatch: pytest.MonkeyPatch, index: str, in_a_build: str | None, on_this_machine: str | None
) -> None:
    monkeypatch.setenv("PIP_TRUSTED_HOST", "more.example mine.example next.example:8443")
    asked = parse_config(f"mirrors: {{pypi: '{index}'}}", file="devbox.yaml", defaults=FACTS)
    found = find_settings(asked, FACTS)
    assert found.pip_index.get("trusted-host") == in_a_build
    assert found.pip.get("PIP_TRUSTED_HOST") == on_this_machine


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
