"""Errors and what made them go away: follows the commands of a session, its edits, and what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coditect.knowledge import failures
from coditect.knowledge.commands import changes_something, may_fail, normal, only_looks, same_work, with_other_options
from coditect.knowledge.items import Add, Change, Drop, Item, Ran, item_id, one_line
from coditect.knowledge.questions import is_answer
from coditect.knowledge.state import MOST, Failure, State, remember

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coditect.knowledge.messages import Call, Message, Result
    from coditect.knowledge.prose import Sentence

_EDITING: Final = frozenset(
    ("Edit", "Write", "MultiEdit", "NotebookEdit", "str_replace_editor", "create_file", "apply_patch")
)
_ERROR_LENGTH: Final = 140
_WHY_LENGTH: Final = 160
_STATEMENT: Final = 480
_NAMED_CHANGES: Final = 3


def hear(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    if message.role == "user":
        yield from _hear_person(state, message, said)
    else:
        yield from _hear_assistant(state, message, said)


def _hear_person(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    reported = [entry for entry in state.failures if not entry.command]
    if any(map(failures.confirms, said)):
        for entry in reported:
            if entry.changes:
                yield Add(_fix(entry, message))
        state.failures = [entry for entry in state.failures if entry.command or not entry.changes]
    elif any(map(failures.complains, said[:2])):
        yield from (Drop(id) for id in state.claimed)
        for entry in reported:
            _did_not_help(entry)
    state.claimed = []
    new = next((sentence for sentence in said if failures.reports_error(sentence)), None)
    if new and not any(map(failures.confirms, said)):
        remember(state.failures, Failure(message.id, one_line(new.text, _ERROR_LENGTH), ""))


def _hear_assistant(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    text = " ".join(sentence.text for sentence in said)
    state.said = text[-600:]
    if failures.accepts_failure(text) and state.failures and not state.failures[-1].changes:
        state.failures.pop()
    weight, why = _explanation(said)
    for entry in state.failures:
        if weight >= entry.weight and why:
            entry.why, entry.weight = why, weight
    if any(map(failures.claims_fix, said)):
        yield from _believe(state, message)


def _explanation(said: list[Sentence]) -> tuple[int, str]:
    """The sentence that says best what was wrong, or what is done about it; and how well it does."""
    statements = [sentence for sentence in said if is_answer(sentence)]
    for weight, tells in ((3, failures.states_cause), (2, failures.names_cause)):
        for sentence in statements:
            if tells(sentence):
                return weight, one_line(sentence.text, _WHY_LENGTH)
    return (1, one_line(statements[-1].text, _WHY_LENGTH)) if statements else (0, "")


def _believe(state: State, message: Message) -> Iterator[Change]:
    """The assistant says that what a person reported is fixed, and something ran well since the last change."""
    left = []
    for entry in state.failures:
        if not entry.command and entry.changes and entry.checked:
            item = _fix(entry, message)
            state.claimed.append(item.id)
            yield Add(item)
        else:
            left.append(entry)
    state.failures = left


def _did_not_help(entry: Failure) -> None:
    entry.changes, entry.why, entry.weight, entry.checked = [], "", 0, False


def watch(state: State, message: Message) -> Iterator[Change]:
    for call in message.calls:
        yield from _start(state, message, call)
    for result in message.results:
        yield from _finish(state, message, result)


def _start(state: State, message: Message, call: Call) -> Iterator[Change]:
    if call.command:
        state.calls[call.id] = call.command[:1000]
        while len(state.calls) > MOST:
            del state.calls[next(iter(state.calls))]
        if not only_looks(call.command):
            yield Ran(normal(call.command))
    elif call.tool in _EDITING and call.path:
        _change(state, message, call.path.rsplit("/", 1)[-1])


def _change(state: State, message: Message, what: str) -> None:
    for entry in state.failures:
        if not entry.gone:
            entry.changes = [*(change for change in entry.changes if change != what), what][-_NAMED_CHANGES:]
            entry.where, entry.checked = message.id, False


def _finish(state: State, message: Message, result: Result) -> Iterator[Change]:
    command = state.calls.pop(result.call, "")
    if not command or failures.is_noise(result.text):
        return
    failed = failures.looks_failed(result.text) if result.failed is None else result.failed
    if failed and not only_looks(command) and not may_fail(command):
        _fail(state, message, command, result.text)
    elif not failed:
        yield from _succeed(state, message, command)


def _fail(state: State, message: Message, command: str, text: str) -> None:
    error = one_line(failures.error_line(text), _ERROR_LENGTH)
    if not error:
        return
    related = [entry for entry in state.failures if entry.command and same_work(entry.command, command)]
    for entry in related:
        if entry.error == error:
            _did_not_help(entry)
            return
        entry.gone = bool(entry.changes)
    state.failures = [entry for entry in state.failures if entry not in related or entry.gone]
    if not failures.announces_failure(state.said):
        remember(state.failures, Failure(message.id, error, one_line(normal(command), _ERROR_LENGTH)))


def _succeed(state: State, message: Message, command: str) -> Iterator[Change]:
    fixed = [entry for entry in state.failures if entry.command and same_work(entry.command, command)]
    state.failures = [entry for entry in state.failures if entry not in fixed]
    for entry in fixed:
        if not entry.changes and with_other_options(entry.command, command):
            entry.changes, entry.where = [one_line(normal(command), 80)], message.id
        if entry.changes:
            yield Add(_fix(entry, message))
    if any(entry.changes for entry in fixed):
        # What a person reported and what then failed here are one and the same.
        state.failures = [entry for entry in state.failures if entry.command or not entry.changes]
    if changes_something(command):
        _change(state, message, one_line(normal(command), 80))
    elif not only_looks(command):
        for entry in state.failures:
            entry.checked = entry.checked or bool(entry.changes)


def _fix(entry: Failure, message: Message) -> Item:
    done = ", ".join(f"`{change.replace('`', '')}`" for change in entry.changes)
    error = entry.error.replace("`", "")
    head = f"`{error}`" if entry.command else entry.error
    statement = one_line(f"{head} → {entry.why} ({done})" if entry.why else f"{head} → {done}", _STATEMENT)
    identity = item_id("fix", message.project, statement)
    return Item("fix", identity, statement, message.project, message.session, message.time, entry.where, entry.message)
