"""What the rules take from messages, and what they leave: each case is a few messages and the items they give."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from knowledge_stores import called, edited, spoken

from coditect.knowledge.collect import Collection

if TYPE_CHECKING:
    from coditect.knowledge.items import Item

BROKEN = called("pytest -q", "Exit code 1\nKeyError: 'total'\nE   KeyError: 'total'", True, 1)


def extracted(*lines: bytes, kind: str = "") -> list[Item]:
    with closing(Collection(":memory:")) as collection:
        for line in lines:
            collection.add_line(line)
        return list(collection.items(kind))


def statements(*lines: bytes, kind: str = "") -> list[str]:
    return [item.statement for item in extracted(*lines, kind=kind)]


@pytest.mark.parametrize(
    "text",
    [
        "Let's use SQLite for storage.",
        "We decided to drop Python 3.8.",
        "Decision: reports are immutable.",
        "That would be slow, so let's go with the queue.",
        "Use TOML rather than YAML for the settings.",
        "We won't support Internet Explorer.",
    ],
)
def test_a_decision_of_a_person_is_taken(text: str) -> None:
    assert statements(spoken("user", text), kind="decision") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "If the tests were slow, we could go with mocks.",
        "Should we use SQLite instead of files?",
        "The team at my last job decided to use Excel.",
        'The old page says "we decided to use Excel" somewhere.',
        "> Let's use Excel.",
        "```\n# let's use Excel instead of files\n```",
        "Let's use the debugger to see where it stops.",
        "We have not decided on a name.",
        "We decided on Redis but that turned out to be a mistake.",
        "Let's keep going.",
    ],
)
def test_what_only_sounds_like_a_decision_is_left(text: str) -> None:
    assert statements(spoken("user", text), kind="decision") == []


def test_a_decision_that_is_taken_back_goes() -> None:
    talk = [spoken("user", "Let's go with Redis.", 1), spoken("assistant", "Fine.", 2)]
    assert statements(*talk, kind="decision")
    assert statements(*talk, spoken("user", "Scratch that, Redis is too much.", 3), kind="decision") == []


def test_a_proposal_that_is_refused_goes() -> None:
    talk = [spoken("assistant", "I'll go with Redis for the queue.", 1)]
    assert statements(*talk, spoken("user", "Good.", 2), kind="decision")
    assert statements(*talk, spoken("user", "No, wait for the benchmark.", 2), kind="decision") == []


def test_a_reply_to_a_choice_is_told_with_its_question() -> None:
    talk = [spoken("assistant", "Should the key be per batch or per item?", 1), spoken("user", "Per item.", 2)]
    assert statements(*talk) == ["Should the key be per batch or per item? Per item."]


@pytest.mark.parametrize(
    "text",
    [
        "Always name tables in the singular.",
        "We use ruff for linting, no black.",
        "From now on every fix comes with a test.",
        "Never merge your own pull request.",
        "All SQL goes into the queries folder.",
        "I prefer small commits over one big one.",
    ],
)
def test_a_convention_is_taken(text: str) -> None:
    assert statements(spoken("user", text), kind="pattern") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "Never mind the warning.",
        "It always returns null here.",
        "Why do we always use mocks for this?",
        "Every time I run it the page is blank.",
        "Never had a bug there since March.",
        "The linter says `always use const`.",
    ],
)
def test_what_only_sounds_like_a_convention_is_left(text: str) -> None:
    assert statements(spoken("user", text), kind="pattern") == []


def test_a_command_is_a_pattern_from_its_third_session_on() -> None:
    runs = [called("make check", "ok", False, session=name) for name in ("a", "a", "a", "b", "c")]
    assert statements(*[line for run in runs[:4] for line in run]) == []
    assert statements(*[line for run in runs for line in run]) == ["`make check` is run in session after session"]


def test_commands_that_only_look_are_no_pattern() -> None:
    runs = [called("ls -l && git status", "ok", False, session=name) for name in ("a", "b", "c", "d")]
    assert statements(*[line for run in runs for line in run]) == []


QUESTION = "Does the importer accept empty files?"


def test_a_question_stays_open_until_it_is_answered() -> None:
    asked = spoken("user", QUESTION, 1)
    assert statements(asked) == [QUESTION]
    assert statements(asked, spoken("assistant", "Let me look.", 2)) == [QUESTION]
    assert statements(asked, spoken("assistant", "I don't know, there is no test for it.", 2)) == [QUESTION]
    assert statements(asked, spoken("assistant", "Yes, it writes a warning.", 2)) == []


def test_a_question_is_closed_by_a_later_statement_about_the_same() -> None:
    talk = [spoken("user", QUESTION, 1), spoken("assistant", "I can't tell from here.", 2), spoken("user", "Ok.", 3)]
    assert statements(*talk, spoken("assistant", "The page is blue now.", 4)) == [QUESTION]
    assert statements(*talk, spoken("assistant", "The importer refuses empty files.", 4)) == []


def test_a_person_who_puts_off_leaves_the_question_open() -> None:
    asked = spoken("assistant", "Should refunds be shown in red or in brackets?", 1)
    assert "Should refunds" in statements(asked, spoken("user", "Let me think about it.", 2))[0]


@pytest.mark.parametrize(
    "text",
    ["That is nice, isn't it?", "Could you run the tests?", "Shall I commit?", "Why not?", "Can it do `a ? b : c`"],
)
def test_rhetoric_and_polite_orders_are_no_open_questions(text: str) -> None:
    assert statements(spoken("user", text), kind="question") == []


def test_an_error_and_the_change_after_which_the_command_passes_are_a_fix() -> None:
    cause = spoken("assistant", "The problem is a missing default.", 2)
    passed = called("pytest -q", "3 passed", False, 4)
    (item,) = extracted(*BROKEN, cause, edited("/home/ana/shop/cart.py", 3), *passed, kind="fix")
    assert item.statement == "`KeyError: 'total'` → The problem is a missing default. (`cart.py`)"
    assert item.cause
    assert item.cause != item.source


def test_a_retry_without_a_change_is_no_fix() -> None:
    assert statements(*BROKEN, *called("pytest -q", "3 passed", False, 2), kind="fix") == []


def test_another_command_that_passes_fixes_nothing() -> None:
    assert statements(*BROKEN, edited("a.py", 2), *called("ruff check .", "ok", False, 3), kind="fix") == []


def test_what_did_not_help_is_not_named() -> None:
    again = called("pytest -q", "Exit code 1\nE   KeyError: 'total'", True, 3)
    passed = called("pytest -q", "3 passed", False, 5)
    (text,) = statements(*BROKEN, edited("wrong.py", 2), *again, edited("right.py", 4), *passed, kind="fix")
    assert "right.py" in text
    assert "wrong.py" not in text


def test_a_failure_that_was_wanted_is_no_error() -> None:
    wanted = spoken("assistant", "I write the test first, it should fail.", 0)
    passed = called("pytest -q", "3 passed", False, 4)
    assert statements(wanted, *BROKEN, edited("a.py", 3), *passed, kind="fix") == []
    accepted = spoken("assistant", "It fails as expected.", 2)
    assert statements(*BROKEN, accepted, edited("a.py", 3), *passed, kind="fix") == []


def test_an_error_in_a_file_that_is_shown_is_no_error() -> None:
    shown = called("cat build.log", "error: linker failed", True, 1)
    assert statements(*shown, edited("a.py", 2), *called("cat build.log", "", False, 3), kind="fix") == []


def test_a_reported_error_is_fixed_when_the_person_says_so() -> None:
    talk = [spoken("user", "The login page crashes on Safari.", 1), edited("/x/login.ts", 2)]
    assert statements(*talk, spoken("user", "Still the same.", 3), kind="fix") == []
    (text,) = statements(*talk, spoken("user", "Works now, thanks!", 3), kind="fix")
    assert text.startswith("The login page crashes on Safari.")
    assert "login.ts" in text
