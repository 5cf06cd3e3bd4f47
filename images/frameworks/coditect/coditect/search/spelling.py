"""Words of the messages that are near to one that no message has.

Candidates come from two ordered look-ups, no list of all words: one slip touches at most two neighbouring letters, so
the first or the last half of the word without them stands as it was written. Two slips are looked for in long words,
where a third of the word at one end is taken to be right.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Final

SHORTEST: Final = 3
LONG: Final = 8  # from here on two slips are thought possible
MOST: Final = 6
# Common words first, should a big vocabulary have more that begin alike.
CANDIDATES: Final = 3000


def corrections(database: sqlite3.Connection, word: str) -> list[str]:
    """The nearest words, all at the same distance, the most common first."""
    return _within(database, word.lower(), 1) or (_within(database, word.lower(), 2) if len(word) >= LONG else [])


def hints(database: sqlite3.Connection, word: str) -> list[str]:
    """Words to suggest when a correction is not safe."""
    word = word.lower()
    return _within(database, word, 1) or _within(database, word, 2) or _within(database, word, 3)


def _within(database: sqlite3.Connection, word: str, most: int) -> list[str]:
    if len(word) < SHORTEST:
        return []
    known = max(1, (len(word) - 2) // 2 if most == 1 else len(word) // 3)
    found = []
    for term, messages in _candidates(database, word, known, most):
        distance = edit_distance(word, term, most)
        if 0 < distance <= most:
            found.append((distance, term[0] != word[0], -messages, term))
    found.sort()
    return [term for distance, _, _, term in found if distance == found[0][0]][:MOST]


def _candidates(database: sqlite3.Connection, word: str, known: int, most: int) -> set[tuple[str, int]]:
    start, end = word[:known], word[-known:][::-1]
    lengths = (len(word) - most, len(word) + most, CANDIDATES)
    query = (
        "SELECT term, messages FROM word WHERE {0} >= ? AND {0} < ? AND length({0}) BETWEEN ? AND ?"
        " ORDER BY messages DESC LIMIT ?"
    )
    by_start = database.execute(query.format("term"), (start, start + "\U0010ffff", *lengths))
    by_end = database.execute(query.format("mirror"), (end, end + "\U0010ffff", *lengths))
    return {*by_start, *by_end}


def edit_distance(one: str, other: str, most: int) -> int:
    """Letters lost, added, replaced, or swapped with a neighbour; `most` + 1 when it is more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, letter_there in enumerate(other, 1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != letter_there))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == letter_there:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        if min(now) > most:
            return most + 1
        before, last = last, now
    return last[-1]
