"""The documents' command blocks that need no engine are run, and their answers are what the documents show."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from builder.core.config import parse_config
from tests.doc_blocks import ELSEWHERE, HERE, ON_A_WORKSTATION, ROOT, find_blocks, find_commands
from tests.unit.core.builders import FACTS

BENCH = re.compile(r"python -m bench ")  # docs/performance.md is written by it, with the words of its own run


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """From a shell, which `--show-completion` looks for above it, in this environment, without an engine."""
    environment = {
        **os.environ, "HOME": str(folder), "DOCKER_HOST": "tcp://127.0.0.1:1", "SHELL": "/bin/bash",
        **{name: str(folder / name.lower()) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")},
    }  # fmt: skip
    program, *words = shlex.split(command)
    assert program == "devbox"
    argv = ["bash", "-c", '"$@"; exit', "bash", sys.executable, "-m", "builder", *words]
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_every_command_of_the_documents_is_run_or_has_a_reason_why_not() -> None:
    written = {command for command in find_commands() if not BENCH.match(command)}
    tables = [*HERE, *ON_A_WORKSTATION, *ELSEWHERE]
    assert len(tables) == len(set(tables)), "a command stands in two tables"
    assert written - set(tables) == set(), "name these in a table of tests/doc_blocks.py"
    assert set(tables) - written == set(), "no page has these any more"


def test_a_test_that_is_given_as_a_reason_exists() -> None:
    named = {name for reason in ELSEWHERE.values() for name in re.findall(r"tests/[\w/]+\.py", reason)}
    assert named
    assert {name for name in named if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize("command", HERE)
def test_a_command_of_the_documents_works(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "my-app"
    (folder / ".workstation").mkdir(parents=True)
    done = run(command, folder)
    assert (done.returncode, done.stderr) == (0, "")
    if command == "devbox init":
        parse_config((folder / "devbox.yaml").read_text(), file="devbox.yaml", defaults=FACTS)
    if "--output" in command:
        assert json.loads((folder / command.split()[-1]).read_text())["title"] == "devbox.yaml"


# One of another program begins with its name: `# registry.yaml`.
CONFIGS = {
    block.text: block.page
    for block in find_blocks()
    if block.language == "yaml" and not re.match(r"# \S+\.ya?ml\n", block.text)
}


@pytest.mark.parametrize("text", CONFIGS, ids=list(CONFIGS.values()))
def test_an_example_of_devbox_yaml_is_accepted(text: str) -> None:
    parse_config(text, file="devbox.yaml", defaults=FACTS)


# The answers that the documents show: what makes them, and where that is told by another test, by which.
ANSWERS = {
    "DOCKER_HOST: no engine listens": ("", "list"),
    "2 things are wrong": (
        "nmae: mine\nbase: debian-12\nports:\n  vnc: 5901\n  web: {host: 80, pinned: true}\n", "config"
    ),
    "needs node >=22": ("tools: {claude-code: 2.1.330}\n", "plan --assume"),
    "is not a loopback address": ("bind: 0.0.0.0\n", "config"),
}  # fmt: skip
ANSWERS_ELSEWHERE = (
    "no engine: there is no socket", "does not name box.example", "port 6080 is taken by", "no-such-package` failed",
    "the base ubuntu-24.04 cannot be had here", "belongs to another folder", "was not made by devbox",
    "has no commands", "git cannot read this", "no SSH agent to forward", "it ended 10 times within 60 s",
    "of before runs again", "hello is running (unhealthy)", "there is no workstation hello here",
    "it came unforeseen while", "its certificate is not trusted here",
)  # fmt: skip


def answers() -> list[str]:
    return [block.text for block in find_blocks() if block.page == "docs/troubleshooting.md" and not block.language]


def test_every_answer_in_the_documents_is_made_by_a_test() -> None:
    """Those that need an engine, a machine or a network of a certain kind are rows of tests/engine/faults, or of the
    tests of the module that says them."""
    for text in answers():
        assert sum(words in text for words in (*ANSWERS, *ANSWERS_ELSEWHERE)) == 1, text


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_in_the_documents_is_what_devbox_says(words: str, tmp_path: Path) -> None:
    (text,) = [text for text in answers() if words in text]
    config, verb = ANSWERS[words]
    (tmp_path / "devbox.yaml").write_text(config)
    assert text in run(f"devbox {verb}", tmp_path).stderr
