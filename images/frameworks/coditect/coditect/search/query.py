"""What a person typed, understood: words, "phrases", -excluded, NOT excluded, this OR that, begin*. Pure functions.

Every text is a query: what makes no sense is taken as words, what holds neither letter nor digit is left out. The
expressions for SQLite are built of quoted strings only, so nothing typed is ever read as its syntax.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

MOST_TERMS: Final = 64  # SQLite's expressions have a bounded depth
QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"', "\0": " "})


class Term:
    """A word or a phrase. `expression` is what SQLite is asked for it."""

    __slots__ = ("expression", "is_phrase", "text")

    def __init__(self, text: str, *, is_phrase: bool = False) -> None:
        self.text, self.is_phrase = text, is_phrase
        self.expression = _phrase(text) if is_phrase else _word(text)


class Query:
    """All of `groups`, of each group any term, and none of `excluded`."""

    __slots__ = ("excluded", "groups", "left_out")

    def __init__(self, groups: Sequence[Sequence[Term]], excluded: Sequence[Term], left_out: int = 0) -> None:
        self.groups, self.excluded, self.left_out = groups, excluded, left_out

    @property
    def words(self) -> list[str]:
        return [term.text for group in self.groups for term in group]


def parse_query(typed: str) -> Query:
    groups: list[list[Term]] = []
    excluded: list[Term] = []
    either = negated = False
    count = 0
    for text, is_phrase, is_negative in _split(typed):
        if not is_phrase and text in ("OR", "AND", "NOT"):
            either, negated = text == "OR", text == "NOT"
            continue
        if not _is_searchable(text):
            continue
        count += 1
        if count > MOST_TERMS:
            continue
        term = Term(text, is_phrase=is_phrase)
        if negated or is_negative:
            excluded.append(term)
        elif either and groups:
            groups[-1].append(term)
        else:
            groups.append([term])
        either = negated = False
    return Query(groups, excluded, max(0, count - MOST_TERMS))


def quote(text: str) -> str:
    """A string of FTS5: any text, taken as the phrase of its tokens."""
    return '"' + text.replace('"', '""') + '"'


def any_of(expressions: Sequence[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"({' OR '.join(expressions)})"


def _split(typed: str) -> Iterator[tuple[str, bool, bool]]:
    """Text, whether it stood in quotes, whether a minus stood before it. An open quote reaches to the end."""
    text = typed.encode(errors="replace").decode().translate(QUOTES)
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        is_negative = text[at] == "-" and at + 1 < len(text) and not text[at + 1].isspace()
        at += is_negative
        is_phrase = text[at] == '"'
        if is_phrase:
            end = text.find('"', at + 1)
            end = len(text) if end < 0 else end
            yield text[at + 1 : end], True, is_negative
            at = end + 1
        else:
            end = at
            while end < len(text) and text[end] != '"' and not text[end].isspace():
                end += 1
            yield text[at:end], False, is_negative
            at = end


def _is_searchable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _phrase(text: str) -> str:
    return quote(text) if text.isascii() else _with_runs(text)


def _word(text: str) -> str:
    if not text.isascii():
        return _with_runs(text)
    if text.endswith("*"):
        return f"{quote(text)} *"
    if text.islower() or (text.istitle() and text.isalpha()):
        return quote(text)
    from coditect.search.tokens import humps

    parts = humps(text)
    return any_of([quote(text), quote(" ".join(parts))]) if parts else quote(text)


def _with_runs(text: str) -> str:
    """Text without spaces is found by its pairs of neighbours, a single character by the pairs that it begins."""
    from coditect.search.tokens import pairs, runs_without_spaces

    asked = []
    for run in runs_without_spaces(text):
        asked.append(quote(" ".join(pairs(run))) if len(run) > 1 else f"{quote(run)} *")
        text = text.replace(run, " ")
    if _is_searchable(text):
        asked.append(quote(text))
    return asked[0] if len(asked) == 1 else f"({' AND '.join(asked)})"
