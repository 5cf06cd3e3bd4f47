"""The CI files of `devbox init --ci`: sound YAML whose devbox commands exist."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main
import yaml

from builder import cli
from builder.core.ci_template import CI_FILES


@pytest.mark.parametrize("system", CI_FILES)
def test_every_command_in_a_ci_file_exists(system: str) -> None:
    text = CI_FILES[system].text
    assert isinstance(yaml.safe_load(text), dict)
    commands = re.findall(r"^\s*(?:- |run: )(devbox .*)$", text, re.MULTILINE)

    assert [line.split()[1] for line in commands][:2] == ["up", "verify"]
    for line in commands:
        _, verb, *words = shlex.split(line)
        command = typer.main.get_command(cli.app).commands[verb]  # type: ignore[attr-defined]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_results_are_kept_where_they_are_written() -> None:
    github, gitlab = (yaml.safe_load(CI_FILES[name].text) for name in ("github", "gitlab"))

    steps = github["jobs"]["verify"]["steps"]
    assert any(step.get("with", {}).get("path") == "verify" for step in steps)
    assert gitlab["devbox"]["artifacts"]["reports"]["junit"] == "verify/junit.xml"
    assert gitlab["devbox"]["artifacts"]["when"] == "always"
