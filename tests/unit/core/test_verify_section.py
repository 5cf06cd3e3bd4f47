"""`verify:` in devbox.yaml: checks of one's own, and a folder of tests."""

from __future__ import annotations

import pytest

from builder.core.config import Verify, parse_config
from builder.core.own_checks import own_checks
from builder.errors import ConfigError
from builder.model import Check
from tests.unit.core.builders import FACTS


def parse(text: str) -> Verify:
    return parse_config(text, file="devbox.yaml", defaults=FACTS).verify


def test_a_list_is_the_declared_checks() -> None:
    found = parse(
        "verify:\n  - {name: editor, run: [nano, --version], version: '>=7'}\n  - {name: hosts, file: /etc/hosts}\n"
    )

    assert own_checks(found.checks) == (
        ("editor", Check(run=("nano", "--version"), version=">=7")),
        ("hosts", Check(file="/etc/hosts")),
    )
    assert found.tests is None


def test_a_mapping_holds_checks_and_a_folder_of_tests() -> None:
    found = parse("verify:\n  checks: [{name: shell, package: zsh}, {name: up, service: sshd}]\n  tests: ./checks\n")

    assert [name for name, _ in own_checks(found.checks)] == ["shell", "up"]
    assert found.tests == "./checks"


def test_nothing_written_is_nothing() -> None:
    assert parse("name: app\n") == Verify()
    assert parse("verify:\n") == Verify()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{name: a}]", "checks nothing"),
        ("[{run: ls}]", "`name` is missing"),
        ("[{name: a, file: /a}, {name: a, file: /b}]", "there twice"),
        ("[{name: a, file: /a, version: '>=1'}]", "a version of nothing"),
        ("[{name: a, run: ls, version: latest}]", "version specifier"),
        ("[{name: A B, run: ls}]", "is not a name"),
        ("[{name: a, file: etc}]", "absolute path"),
        ("{tests: ../else}", "leaves its folder"),
        ("{test: x}", "unknown key"),
        ("yes", "a mapping is expected"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"verify: {text}\n")

    assert message in str(caught.value)
    assert "devbox.yaml:1" in str(caught.value)
