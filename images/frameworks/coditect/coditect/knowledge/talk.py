"""Decisions, patterns and questions: what is said in a session, taken back in it, and answered in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from coditect.knowledge import decisions, patterns
from coditect.knowledge.decisions import is_refused, is_taken_back
from coditect.knowledge.items import Add, Change, Drop, Item, item_id, one_line
from coditect.knowledge.prose import Sentence, stems
from coditect.knowledge.questions import asks_openly, is_answer, is_ignorance, is_order, opens_as_answer, puts_off
from coditect.knowledge.state import Asked, Decided, State, remember

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from coditect.knowledge.messages import Message

# How many turns back "scratch that" reaches when it does not say what.
_REACH: Final = 4
_SHORT_REPLY: Final = 8
_FEW: Final = 3
# A decision of so few words is told with the question before it.
_TERSE: Final = 4
_FEW_STEMS: Final = 5
_BARE_REPLY: Final = frozenset(
    ["yes", "no", "ok", "okay", "sure", "thanks", "right", "yep", "nope", "please", "fine", "go", "ahead", "continue"]
)


def hear(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    if message.role == "user":
        yield from _take_back(state, said)
    yield from _answer(state, message.role, said)
    settled = yield from _settle(state, message, said)
    if message.role == "user" and not settled:
        yield from _choose(state, message, said)
    yield from _ask(state, message, said)


def make_item(kind: str, message: Message, statement: str) -> Item:
    identity = item_id(kind, message.project, statement)
    return Item(kind, identity, statement, message.project, message.session, message.time, message.id)


def _take_back(state: State, said: list[Sentence]) -> Iterator[Change]:
    last = state.decided[-1] if state.decided else None
    if last and last.role == "assistant" and last.turn == state.turn - 1 and is_refused(said[0]):
        state.decided.remove(last)
        yield Drop(last.id)
    for sentence in said:
        if is_taken_back(sentence) and (undone := _meant(state, stems(sentence.text))):
            state.decided.remove(undone)
            yield Drop(undone.id)


def _meant(state: State, words: frozenset[str]) -> Decided | None:
    """The newest decision that shares a word with what takes it back, else the last one if it is near."""
    for entry in reversed(state.decided):
        if words.intersection(entry.stems):
            return entry
    if state.decided and state.turn - state.decided[-1].turn <= _REACH:
        return state.decided[-1]
    return None


def _settle(state: State, message: Message, said: list[Sentence]) -> Generator[Change, None, bool]:
    """Decisions and patterns; returns whether there was one."""
    found = list(_settled(said, message.role))
    for kind, words in found:
        terse = kind == "decision" and len(words.split()) <= _TERSE
        statement = f"{state.question} {words}".strip() if terse else words
        item = make_item(kind, message, one_line(statement))
        yield Add(item)
        if kind == "decision":
            remember(state.decided, Decided(item.id, message.role, sorted(stems(statement)), state.turn))
    return bool(found)


def _settled(said: list[Sentence], role: str) -> Iterator[tuple[str, str]]:
    """Kind and statement, in order. Words that point back are told with the sentence they point to."""
    rules, before = False, ""
    for sentence in said:
        kind = _kind(sentence, role, rules)
        pointed = _kind_of_pointing(sentence, role) if before else ""
        if pointed:
            yield pointed, f"{before} {sentence.text}"
        elif kind:
            yield kind, sentence.text
        rules = rules or (role == "user" and patterns.announces_rules(sentence))
        # What has a kind of its own needs nobody to point at it.
        before = "" if sentence.asks or kind else sentence.text


def _kind(sentence: Sentence, role: str, rules: bool) -> str:
    if patterns.points_back(sentence):
        return ""
    if patterns.is_pattern(sentence, role) or (rules and patterns.is_stated(sentence)):
        return "pattern"
    return "decision" if decisions.is_decision(sentence, role) and not decisions.points_back(sentence) else ""


def _kind_of_pointing(sentence: Sentence, role: str) -> str:
    if decisions.points_back(sentence):
        return "decision"
    return "pattern" if role == "user" and patterns.points_back(sentence) else ""


def _choose(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    """The assistant asked `this or that?`, the person named one of them."""
    question, state.choice = state.choice, ""
    reply = said[0]
    words = reply.text.lower().strip(" .!").replace(",", "").split()
    if not question or len(said) > 2 or len(words) > _SHORT_REPLY or reply.asks or is_refused(reply) or puts_off(reply):
        return
    if not set(words) <= _BARE_REPLY:
        item = make_item("decision", message, one_line(f"{question} {reply.text}"))
        remember(state.decided, Decided(item.id, "user", sorted(stems(item.statement)), state.turn))
        yield Add(item)


def _ask(state: State, message: Message, said: list[Sentence]) -> Iterator[Change]:
    state.choice = "" if message.role == "assistant" else state.choice
    questions = [index for index, sentence in enumerate(said) if asks_openly(sentence, message.role)]
    if message.role == "assistant":
        questions = [index for index in questions if not _answered_at_once(said, index)]
    for index in questions:
        sentence = said[index]
        state.question = one_line(sentence.text) if sentence.asks else ""
        item = make_item("question", message, one_line(sentence.text))
        alone = len(questions) == 1 and len(said) <= _FEW
        remember(state.asked, Asked(asdict(item), message.role, sorted(stems(sentence.text)), alone))
        if message.role == "assistant" and " or " in sentence.said and sentence.asks:
            state.choice = item.statement
        yield Add(item)


def _answered_at_once(said: list[Sentence], index: int) -> bool:
    """Who goes on with a statement, asked only to answer it himself."""
    return not said[index].last and is_answer(said[index + 1])


def _answer(state: State, role: str, said: list[Sentence]) -> Iterator[Change]:
    if role == "user":
        yield from _reopen(state, said)
    answers = [stems(sentence.text) for sentence in said if is_answer(sentence)]
    meant = _meant_by(state, answers)
    still_open = []
    for asked in state.asked:
        if asked.waiting and asked.role != role:
            answered = _replies(asked, said, answers, asked in meant)
            asked.waiting = role == "assistant" and not answered and all(map(_says_nothing, said))
        else:
            answered = _settles(asked, answers)
            asked.alone = False  # who asks and goes on to something else is answered about that
        if answered:
            state.answered += [asked.item] if role == "assistant" and asked.role == "user" else []
            yield Drop(asked.item["id"])
        else:
            still_open.append(asked)
    state.asked = still_open


def _reopen(state: State, said: list[Sentence]) -> Iterator[Change]:
    """A person who wants to think about the answer has not got one."""
    if len(said) <= _FEW and any(map(puts_off, said)):
        yield from (Add(Item(**item)) for item in state.answered)
    state.answered = []


def _says_nothing(sentence: Sentence) -> bool:
    return not is_answer(sentence) and not is_ignorance(sentence)


def _meant_by(state: State, answers: list[frozenset[str]]) -> list[Asked]:
    """Of the questions that wait for a reply, those that each statement has most in common with."""
    waiting = [asked for asked in state.asked if asked.waiting]
    meant = []
    for answer in answers:
        shared = [len(answer.intersection(asked.stems)) for asked in waiting]
        most = max(shared, default=0)
        meant += [asked for asked, count in zip(waiting, shared) if count and count == most]
    return meant


def _replies(asked: Asked, said: list[Sentence], answers: list[frozenset[str]], meant: bool) -> bool:
    """The turn right after the question: a word in common is enough, or that nothing else was asked."""
    if asked.role == "assistant":
        if any(puts_off(sentence) for sentence in said[:2]):
            return False
        return opens_as_answer(said[0]) or meant or (asked.alone and _is_brief_reply(said))
    if any(is_ignorance(sentence) for sentence in said):
        return _settles(asked, answers)
    return meant or (asked.alone and (bool(answers) or opens_as_answer(said[0])))


def _is_brief_reply(said: list[Sentence]) -> bool:
    """A few words that go on to nothing else."""
    reply = said[0]
    brief = len(said) < _FEW and len(reply.text.split()) <= _SHORT_REPLY
    return brief and not (reply.asks or is_order(reply) or patterns.is_pattern(reply, "user"))


def _settles(asked: Asked, answers: list[frozenset[str]]) -> bool:
    """Later on, a statement has to be about the same: two or three of its words."""
    needed = 2 if len(asked.stems) <= _FEW_STEMS else 3
    return any(len(answer.intersection(asked.stems)) >= needed for answer in answers)
