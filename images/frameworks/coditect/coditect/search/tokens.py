"""What of a text can be searched for, beyond the words that SQLite's tokenizer sees. Pure functions.

The tokenizer cuts at everything that is no letter and no digit: `read_fields`, `/etc/hosts` and `ERR-42` are phrases of
their parts, found by each part and as a whole. Two things it does not cut: `readFields` and text without spaces (CJK).
Their pieces go into a second column, so that no piece stands between two neighbours of the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

REMEMBERED: Final = 200_000

_TOKEN: Final = re.compile(r"[^\W_]+")
# Bounded: a megabyte of base64 is no identifier.
_HUMPED: Final = re.compile(
    r"(?=[A-Za-z0-9]{3,80}\Z)(?:[A-Za-z0-9]*?(?:[a-z][A-Z]|[A-Z][A-Z][a-z])[A-Za-z0-9]*|[A-Za-z]{2,20}[0-9]{1,8})"
)
_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_RUN_WITHOUT_SPACES: Final = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003fa1f]+"
)


class Pieces:
    """The pieces of tokens. Remembers the plain ones, which are nearly all of them, so that each is looked at once."""

    def __init__(self) -> None:
        self._plain: set[str] = set()

    def of(self, tokens: set[str]) -> list[str]:
        """The pieces of all identifiers with humps and of all runs without spaces, in an order of their own."""
        found: list[str] = []
        for token in sorted(tokens - self._plain):
            pieces = [*humps(token), *_run_pieces(token)]
            if not pieces and len(self._plain) < REMEMBERED:
                self._plain.add(token)
            found += pieces
        return found


def tokens(text: str) -> list[str]:
    """What stands between two characters that are neither letter nor digit."""
    return _TOKEN.findall(text)


def humps(token: str) -> list[str]:
    """`readFields` -> read, Fields; nothing for a token without humps."""
    return _PIECE.findall(token) if _HUMPED.fullmatch(token) else []


def runs_without_spaces(text: str) -> list[str]:
    return _RUN_WITHOUT_SPACES.findall(text)


def pairs(run: str) -> list[str]:
    """Each two neighbours of a run: a phrase of them is a part of the run."""
    return [first + second for first, second in zip(run, run[1:])]


def _run_pieces(token: str) -> Iterator[str]:
    if not token.isascii():
        for run in runs_without_spaces(token):
            yield from pairs(run)
            yield run[-1]


def is_word(token: str) -> bool:
    """Whether a person could misspell it."""
    return 2 < len(token) <= 30 and token.isalpha()
