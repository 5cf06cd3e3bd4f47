"""Verbs that people know from other tools: they are told what it is called here, and nothing is done."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from builder.cli import app, run
from builder.cli.habits import ELSEWHERE, narrow

COMMAND: Any = typer.main.get_command(app)


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_verb_of_another_tool_is_answered_with_ours(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: app([word, "--all", "x"], prog_name="devbox", standalone_mode=False)) == 2
    told = capsys.readouterr().err
    assert told == f"error: there is no verb `{word}`\nhint: here it is `devbox {ELSEWHERE[word]}`\n"
    for verb in re.findall(r"`devbox ([a-z]+)", told):
        assert verb in COMMAND.commands


def test_no_verb_of_ours_is_taken_for_one_of_another_tool() -> None:
    assert COMMAND.commands.keys() & ELSEWHERE.keys() == set()


@pytest.mark.parametrize(("typed", "hint"), [("staus", "did you mean `devbox status`? "), ("zzz", "")])
def test_a_misspelt_verb_is_answered_with_the_nearest(
    typed: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: app([typed], prog_name="devbox", standalone_mode=False)) == 2
    assert capsys.readouterr().err == (
        f"error: there is no verb `{typed}`\nhint: {hint}`devbox --help` shows what there is\n"
    )


def test_help_is_a_verb_as_well_as_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for words in (["help"], ["--help"], ["help", "tool", "show"], ["tool", "show", "--help"]):
        assert run(lambda words=words: app(words, prog_name="devbox", standalone_mode=False)) == 0  # type: ignore[misc]
        told.append(capsys.readouterr().out)
    assert (told[0], told[2]) == (told[1], told[3])
    assert run(lambda: app(["help", "nope"], prog_name="devbox", standalone_mode=False)) == 2


@pytest.mark.parametrize("verb", sorted(COMMAND.commands))
def test_a_verb_made_alone_is_the_verb_among_all_of_them(verb: str) -> None:
    for before in ([], ["-C", "up"], ["--log", "plain", "--host=local"]):
        alone: Any = typer.main.get_command(narrow(app, [*before, verb, "--json"]))
        assert len(alone.commands) == 1 or isinstance(COMMAND.commands[verb], typer.core.TyperGroup)
        asked = [command.make_context("devbox", ["--help"], resilient_parsing=True) for command in (alone, COMMAND)]
        helps = [context.command.commands[verb].get_help(context) for context in asked]
        assert helps[0] == helps[1]


@pytest.mark.parametrize(
    "words", [["none"], ["--help"], ["-C"], ["-Cup", "up"], ["--no", "up"], ["help", "up"], []], ids=str
)
def test_where_it_is_not_plain_which_verb_that_is_there_are_all(words: list[str]) -> None:
    assert narrow(app, words) is app
