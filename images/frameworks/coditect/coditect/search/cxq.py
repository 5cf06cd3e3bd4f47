"""The command `cxq` and the verb `search`: find messages, show one, show what stands around it.

A command line of its own: `-word` excludes a word, options may stand between words, and a query should be answered
before a parser of options would be loaded. What few queries need is imported by them.
"""

from __future__ import annotations

import os
import sqlite3
import sys

from coditect.ending import finish
from coditect.errors import StoreError, UsageError
from coditect.store import find_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import Final

    from coditect.search.find import Found, Hit
    from coditect.search.query import Query
    from coditect.store import Store

HELP: Final = """\
usage: cxq [options] WORD ...
       cxq --show ID | --around ID [-n N]

Find messages that have all of the words, in any order and form; best first.

  "two words"        a phrase (in single quotes, so that the shell leaves the double ones)
  -word, NOT word    messages without it
  this OR that       one of them
  begin*             words that begin so

options:
  --since WHEN       from then on: 2026-01-31, 2026-01-31T18:00, 7d, 2h, 30m
  --until WHEN       before then; a date counts to its end
  --project FOLDER   in it or below; its last name will do, and . is the folder you are in
  --role ROLE        user, assistant, ...
  --kind KIND        text, tool_use, tool_result, thinking, summary, ...
  --tool TOOL        that called this tool
  --limit N          at most so many (10)
  --show ID          one whole message; the first digits of an id will do
  --around ID        its neighbours in the same session
  -n N               how many before and after (3)
  --json             as JSON
  --index            bring the index up to date first; without it only when little is missing
  --no-index         leave the index as it is
  --store DIR        where the memory lies (CODITECT_STORE)

Without words: the newest. Exit code 1 when nothing was found.
"""
VALUES: Final = frozenset(
    ("--since", "--until", "--project", "--role", "--kind", "--tool", "--limit", "--show", "--around", "-n", "--store")
)
FLAGS: Final = frozenset(("--json", "--index", "--no-index", "--help", "-h"))


def main() -> None:
    """Entry point of the console script cxq."""
    sys.exit(call(sys.argv[1:]))


def call(words: Sequence[str]) -> int:
    """Answer one command line; its exit code."""
    return finish(lambda: answer(words))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As the verb `search`: every word is handed on unread, for the reasons above."""
    parser.prefix_chars = "\0"  # no word begins so: none is an option
    parser.add_argument("words", nargs="...")


def run(options: argparse.Namespace) -> int:
    return answer(options.words)


def answer(words: Sequence[str]) -> int:
    """Raises CoditectError for all that is foreseeable."""
    options, query = read_words(words)
    if "--help" in options or "-h" in options:
        print(HELP, end="")
        return 0
    store = find_store(options.get("--store"), os.environ)
    try:
        return _answer(store, options, query)
    except sqlite3.DatabaseError as error:
        hint = "run: coditect index --rebuild"
        raise StoreError(f"the search index cannot be read: {error}", where=str(store.search), hint=hint) from error


def read_words(words: Sequence[str]) -> tuple[dict[str, str], str]:
    """Options, and the query. After `--` every word belongs to the query. Raises UsageError."""
    options: dict[str, str] = {}
    query: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            query += rest
        elif name in VALUES:
            given = value if equals else next(rest, None)
            if given is None:
                raise UsageError(f"{name} needs a value", hint="cxq --help")
            options[name] = given
        elif word in FLAGS:
            options[word] = ""
        elif word.startswith("--"):
            raise UsageError(f"there is no option {word}", hint="cxq --help; after -- every word is searched for")
        else:
            query.append(word)
    return options, " ".join(query)


def _answer(store: Store, options: Mapping[str, str], typed: str) -> int:
    from coditect.search.fresh import open_index

    remarks: list[str] = []
    wish = True if "--index" in options else False if "--no-index" in options else None
    database = open_index(store, wish, remarks)
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    if "--show" in options:
        return _show(store, database, options)
    if "--around" in options:
        return _around(database, options)
    return _search(database, options, typed)


def _search(database: sqlite3.Connection, options: Mapping[str, str], typed: str) -> int:
    from coditect.search.filters import make_filters
    from coditect.search.find import find
    from coditect.search.query import parse_query

    query = parse_query(typed)
    if typed.strip() and not (query.groups or query.excluded):
        raise UsageError("nothing in the query can be searched for", hint="words have letters or digits")
    filters = make_filters(database, {name[2:]: value for name, value in options.items()})
    limit = _number(options, "--limit", 10)
    found = find(database, query, filters, limit)
    remarks = [*filters.empty, *found.remarks] if found.hits or not filters.empty else filters.empty
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    _print_hits(found.hits, options)
    if not found.hits:
        print(_nothing(database, query, found, bool(filters.conditions)), file=sys.stderr)
    return 0 if found.hits else 1


def _nothing(database: sqlite3.Connection, query: Query, found: Found, filtered: bool) -> str:
    from coditect.search.spelling import hints

    near = [hint for word in found.unknown or query.words for hint in hints(database, word)[:3]]
    if near:
        hint = f"nearest words: {', '.join(dict.fromkeys(near))}"
    elif filtered:
        hint = "try it without --since, --project and the like"
    else:
        hint = "try fewer or other words"
    return f"no message found\nhint: {hint}"


def _show(store: Store, database: sqlite3.Connection, options: Mapping[str, str]) -> int:
    from coditect.search.show import as_dict, message_by_id, record_of, whole

    hit = message_by_id(database, options["--show"])
    if "--json" in options:
        description = as_dict(hit)
        del description["snippet"]
        _print_json({**description, "record": record_of(store, database, hit)})
    else:
        print(whole(database, hit))
    return 0


def _around(database: sqlite3.Connection, options: Mapping[str, str]) -> int:
    from coditect.search.show import message_by_id, neighbours

    hit = message_by_id(database, options["--around"])
    _print_hits(neighbours(database, hit, _number(options, "-n", 3)), options, marked=hit.id)
    return 0


def _print_hits(hits: Sequence[Hit], options: Mapping[str, str], marked: str = "") -> None:
    from coditect.search.show import as_dict, headline

    if "--json" in options:
        _print_json([as_dict(hit) for hit in hits])
        return
    bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    for hit in hits:
        mark = "" if not marked else "> " if hit.id == marked else "  "
        print(headline(hit, bold=bold, mark=mark))


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, ensure_ascii=False))


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise UsageError(f"{name} needs a number, not {text!r}", hint="cxq --help")
    return int(text)
