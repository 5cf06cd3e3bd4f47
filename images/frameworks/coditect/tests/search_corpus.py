"""Messages and labelled queries for them, made from a seed.

English by a word list with Zipf's frequencies, as sentences of content words among function words, with identifiers,
paths and error codes as they stand in developers' messages. A query is made from one known message; its label is that
message. Nothing here knows how the search works.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


def _read_words() -> dict[str, list[str]]:
    """search_words.txt: by the section they stand in."""
    sections: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("search_words.txt").read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            section += line.split()
    return sections


WORDS: Final = _read_words()
TOOLS: Final = ("Bash", "Read", "Edit", "Grep", "WebFetch")
PROJECTS: Final = tuple(f"/home/dev/{name}" for name in ("shop", "billing", "devbox", "compiler", "site", "ops"))
START: Final = 1_760_000_000
VOWELS: Final = "aeiou"


@dataclass(frozen=True)
class Lemma:
    """A word in all its forms, the base first."""

    forms: tuple[str, ...]


def _doubles(base: str) -> bool:
    """stop -> stopped: one syllable, ends with consonant, vowel, consonant."""
    short = len(base) <= 4 and sum(letter in VOWELS for letter in base) == 1
    return short and len(base) > 2 and base[-2] in VOWELS and base[-1] not in VOWELS + "wxy"


def _plural(base: str) -> str:
    if base.endswith(("s", "x", "ch", "sh", "z")):
        return f"{base}es" if not base.endswith("is") else f"{base[:-2]}es"
    return f"{base[:-1]}ies" if base.endswith("y") and base[-2] not in VOWELS else f"{base}s"


def _verb(entry: Sequence[str]) -> Lemma:
    base = entry[0]
    stem = base + base[-1] if _doubles(base) else base
    progressive = f"{base[:-1]}ing" if base.endswith("e") and not base.endswith("ee") else f"{stem}ing"
    if base.endswith("e"):
        past = f"{base}d"
    else:
        past = f"{base[:-1]}ied" if base.endswith("y") and base[-2] not in VOWELS else f"{stem}ed"
    return Lemma((base, _plural(base), progressive, *(entry[1:] or [past])))


def _adverb(base: str) -> str:
    if base.endswith("le") and base[-3] not in VOWELS:
        return f"{base[:-1]}y"
    if base.endswith("ic"):
        return f"{base}ally"
    if base.endswith("ll"):
        return f"{base}y"
    return f"{base[:-1]}ily" if base.endswith("y") and len(base) > 3 else f"{base}ly"


LEMMAS: Final = (
    *(_verb(entry.split("/")) for entry in WORDS["verbs"]),
    *(Lemma((noun, _plural(noun))) for noun in WORDS["nouns"]),
    *(Lemma((word, _adverb(word))) for word in WORDS["adjectives"]),
)


@dataclass(frozen=True)
class Identifier:
    """Its parts, and all the ways to write it: as it stands in the message first, then as people type it."""

    parts: tuple[str, ...]
    written: tuple[str, ...]


@dataclass(frozen=True)
class Message:
    """A record, and what was drawn to make it: content words as (lemma, form), and identifiers."""

    record: dict[str, Any]
    content: tuple[tuple[Lemma, str], ...]
    identifiers: tuple[Identifier, ...]

    @property
    def line(self) -> bytes:
        return json.dumps(self.record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def id(self) -> str:
        return hashlib.sha256(self.line).hexdigest()


def make_messages(count: int, seed: int) -> Iterator[Message]:
    """Like sessions: turns of a person and an assistant in a project, tools in between."""
    draw = random.Random(seed)  # noqa: S311 # nothing secret
    lemmas = draw.sample(LEMMAS, len(LEMMAS))
    # Zipf's law with the flat head that content words have (the steep one belongs to function words).
    weights = list(itertools.accumulate(1 / (rank + 30) for rank in range(len(lemmas))))
    common = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(WORDS["function"]))))
    for number in range(count):
        if number % 40 == 0:
            session, project = f"session-{seed}-{number // 40}", draw.choice(PROJECTS)
        yield _make_message(draw, number, (session, project), lemmas, weights, common)


def _make_message(
    draw: random.Random,
    number: int,
    place: tuple[str, str],
    lemmas: Sequence[Lemma],
    weights: Sequence[float],
    common: Sequence[float],
) -> Message:
    size = draw.randint(8, 40)
    drawn = draw.choices(lemmas, cum_weights=weights, k=size)
    content = tuple((lemma, draw.choice(lemma.forms)) for lemma in drawn)
    identifiers = tuple(_identifier(draw, lemmas) for _ in range(draw.choice((0, 0, 1, 2))))
    fillers = iter(draw.choices(WORDS["function"], cum_weights=common, k=size))
    words = [word for _, form in content for word in ((next(fillers), form) if draw.random() < 0.7 else (form,))]
    for identifier in identifiers:
        words.insert(draw.randrange(len(words)), identifier.written[0])
    return Message(_record(draw, number, place, _sentences(draw, words)), content, identifiers)


def _identifier(draw: random.Random, lemmas: Sequence[Lemma]) -> Identifier:
    parts = tuple(lemma.forms[0] for lemma in draw.choices(lemmas, k=draw.choice((2, 3))))
    snake, title = "_".join(parts), "".join(part.title() for part in parts)
    camel = parts[0] + title[len(parts[0]) :]
    spaced = " ".join(parts)
    path = f"src/{'/'.join(parts)}.py"
    ways = (
        (snake, camel, spaced),
        (camel, title, snake, spaced),
        (title, camel, snake, spaced),
        (path, path[4:], f"{parts[-1]}.py {parts[0]}"),
        (f"E_{snake.upper()}", snake.upper(), spaced),
    )
    return Identifier(parts, draw.choice(ways))


def _sentences(draw: random.Random, words: Sequence[str]) -> str:
    text = []
    rest = list(words)
    while rest:
        length = draw.randint(5, 14)
        sentence, rest = rest[:length], rest[length:]
        text.append(sentence[0][:1].upper() + " ".join(sentence)[1:] + draw.choice((".", ".", "?", ":")))
    return " ".join(text)


def _record(draw: random.Random, number: int, place: tuple[str, str], text: str) -> dict[str, Any]:
    role = "user" if number % 2 == 0 else "assistant"
    block: dict[str, Any] = {"type": "text", "text": text}
    if role == "assistant" and draw.random() < 0.3:
        block = {"type": "tool_use", "name": draw.choice(TOOLS), "id": f"t{number}", "input": {"command": text}}
    return {
        "type": role,
        "uuid": f"{number:08x}-{draw.getrandbits(64):016x}",
        "timestamp": START + 60 * number,
        "sessionId": place[0],
        "cwd": place[1],
        "version": "1.0.83",
        "message": {"role": role, "content": [block]},
    }


# Queries ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """What is typed, and the id of the message that is meant."""

    text: str
    label: str


def _pick(draw: random.Random, message: Message, count: int = 4) -> list[tuple[Lemma, str]]:
    """Different content words, in the order of the message."""
    distinct = dict(message.content)
    chosen = draw.sample(sorted(distinct.items(), key=lambda item: item[1]), min(count, len(distinct)))
    return [item for item in distinct.items() if item in chosen]


def exact(draw: random.Random, message: Message) -> str:
    return " ".join(form for _, form in _pick(draw, message))


def word_order(draw: random.Random, message: Message) -> str:
    words = [form for _, form in _pick(draw, message)]
    draw.shuffle(words)
    return " ".join(words)


def inflection(draw: random.Random, message: Message) -> str:
    """Each word in another form, irregular ones too."""
    return " ".join(_other_form(draw, lemma, form) for lemma, form in _pick(draw, message))


def _other_form(draw: random.Random, lemma: Lemma, form: str) -> str:
    return draw.choice([other for other in lemma.forms if other != form] or [form])


def typo(draw: random.Random, message: Message) -> str:
    """One slip of the finger in one word of four letters or more."""
    return _misspell(draw, [form for _, form in _pick(draw, message)], 1)


def typos(draw: random.Random, message: Message) -> str:
    """A slip in each of two words."""
    return _misspell(draw, [form for _, form in _pick(draw, message)], 2)


def _misspell(draw: random.Random, words: list[str], count: int) -> str:
    long = [number for number, word in enumerate(words) if len(word) >= 4]
    for number in draw.sample(long, min(count, len(long))):
        words[number] = slip(draw, words[number])
    return " ".join(words)


def slip(draw: random.Random, word: str) -> str:
    """A letter lost, doubled by its neighbour, replaced, or swapped with the next."""
    at = draw.randrange(len(word) - 1)
    letter = draw.choice("abcdefghijklmnopqrstuvwxyz")
    changed = draw.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return changed if changed != word else slip(draw, word)


def identifier(draw: random.Random, message: Message) -> str:
    """An identifier as it stands there or as people type it, and two content words."""
    return f"{draw.choice(draw.choice(message.identifiers).written)} {exact_words(draw, message, 2)}"


def exact_words(draw: random.Random, message: Message, count: int) -> str:
    return " ".join(form for _, form in _pick(draw, message, count))


def everything(draw: random.Random, message: Message) -> str:
    """Other order, other forms, and a slip."""
    words = [_other_form(draw, lemma, form) for lemma, form in _pick(draw, message)]
    draw.shuffle(words)
    return _misspell(draw, words, 1)


CLASSES: Final = (exact, word_order, inflection, typo, typos, identifier, everything)


def make_queries(messages: Sequence[Message], per_class: int, seed: int) -> dict[str, list[Query]]:
    """By class. Only of messages that have what the class needs."""
    draw = random.Random(f"queries {seed}")  # noqa: S311
    queries: dict[str, list[Query]] = {}
    for make in CLASSES:
        fit = [message for message in messages if message.identifiers or make is not identifier]
        chosen = [draw.choice(fit) for _ in range(per_class)]
        queries[make.__name__] = [Query(make(draw, message), message.id) for message in chosen]
    return queries


# Stores -----------------------------------------------------------------------------------------------------------


def write_store(root: Path, lines: Sequence[bytes]) -> None:
    """The files that an ingest would leave, as far as a search reads them."""
    storage = root / "context-storage"
    storage.mkdir(parents=True, exist_ok=True)
    content = b"".join(line + b"\n" for line in lines)
    (storage / "unified_messages.jsonl").write_bytes(content)
    commit(root, len(content))


def commit(root: Path, size: int) -> None:
    with closing(sqlite3.connect(root / "context-storage" / "unified_index.sqlite")) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value)")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('committed', ?)", (size,))
