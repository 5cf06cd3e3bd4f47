"""Every failure says what to do next: held over the syntax tree, and against the command line itself."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from builder import errors
from tests.unit.test_docs import COMMAND, option_names
from tests.unit.test_layers import ROOT, modules

FAILURES = {
    name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, errors.DevboxError)
}
# Without a hint, and why: (file, how the message begins).
NOTHING_TO_DO = {
    # A mistake of ours, for which there is nothing a person could do; tests of the catalogue find it first.
    ("adapters/process.py", "has no output to read"),
    ("adapters/sources.py", "nothing is fetched for this tool"),
    ("adapters/sources.py", "the files of this project are at hand"),
    ("adapters/workspace.py", "no rendered file may be called"),
    ("cli/frame.py", "no options"),
    ("core/plan.py", "{} has nothing to fetch"),
    ("core/render.py", "a control character cannot be written"),
    ("core/render.py", "{}"),  # Jinja's own words about a template
    ("core/tree.py", "this is no relative path"),
    ("core/tree.py", "two sources of the build context"),
    # Never seen by anybody: the caller asks the SDK, which explains.
    ("adapters/engine_look.py", "the engine is not behind a unix socket"),
    ("adapters/engine_look.py", "{} {}: {}"),
    # Each of the mistakes that it lists has its own.
    ("core/problems.py", "("),
}


def failures() -> Iterator[tuple[str, str, ast.Call]]:
    """File, beginning of the message, and the call, wherever one is made."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAILURES:
                yield str(path.relative_to(ROOT)), text_of(node.args[0]) if node.args else "", node


def text_of(node: ast.expr) -> str:
    """A text as it is written, `{}` where something is put in; "(" where it is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
    return "("


def test_every_failure_has_a_hint_or_a_reason_why_there_is_none() -> None:
    without = {
        (file, text)
        for file, text, call in failures()
        if not {"hint"} & {word.arg for word in call.keywords}
        and getattr(call.func, "id", "") != "Interrupted"  # who stops it knows why
    }
    known = {
        (file, text)
        for file, text in without
        for start in NOTHING_TO_DO
        if file == start[0] and text.startswith(start[1])
    }
    assert without - known == set()
    assert {
        start
        for start in NOTHING_TO_DO
        if not any(file == start[0] and text.startswith(start[1]) for file, text in known)
    } == set()


def test_the_search_sees_failures() -> None:
    assert len(list(failures())) > 150


def commands() -> Iterator[tuple[str, str]]:
    """File and command line of every `devbox ...` in a text of the code."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                for found in re.findall(r"`(devbox [^`]+)`", text_of(node)):
                    yield str(path.relative_to(ROOT)), found


@pytest.mark.parametrize(("file", "line"), sorted(set(commands())))
def test_a_command_that_devbox_names_exists(file: str, line: str) -> None:
    words = shlex.split(re.split(r" (?:2>&1 )?\| ", line)[0])[1:]
    command: Any = COMMAND
    while words and words[0].startswith("-"):
        assert words.pop(0) in option_names(command)
    if not words or words[0].isupper() or words[0] == "{}":
        return
    assert words[0] in COMMAND.commands, f"{file}: devbox has no verb {words[0]}"
    options = option_names(COMMAND.commands[words[0]])
    for word in words[1:]:
        if word == "--":
            return  # somebody else's command line
        assert word == "-" or not word.startswith("-") or word in options, f"{file}: {words[0]} has no option {word}"
