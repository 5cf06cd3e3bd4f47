"""Reads `.json` exports: an array of records, or an object that holds one. Owns finding where an entry begins and ends.

Entries are cut out by their brackets, without parsing: an export of any size takes the memory of its largest entry, a
broken entry does not take the others with it, and each goes the way of a line. What else an export says about a
conversation (its title, say) is no message and is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from coditect.records import BrokenRecordError, parse_record

if TYPE_CHECKING:
    from coditect.sessions.index import Source
    from coditect.sessions.keeper import Keeper

CHUNK: Final = 1 << 20
# An entry that is longer is left out, and said; so is a whole object without a list.
LONGEST: Final = 64 << 20
# Keys under which exports hold their messages, or conversations that hold them.
LISTS: Final = (
    *("messages", "chat_messages", "conversation", "conversations", "entries"),
    *("history", "records", "session", "sessions", "transcript"),
)
# One of these makes an object a message even where it holds a list, too; one of the others, where it holds none.
SIGNS: Final = ("role", "message", "content")
WEAK_SIGNS: Final = ("type", "text", "summary")

_OUTSIDE: Final = re.compile(rb'["\[\]{}]')
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n,"
_KEYS: Final = frozenset(name.encode() for name in LISTS)


@dataclass(frozen=True)
class Entry:
    """Bytes of the file that are one value. `lone`: it stands by itself, in no list."""

    offset: int
    line: int
    raw: bytes
    lone: bool = False


class Cutter:
    """Cuts a stream of bytes into entries. Feed it chunks; `open` tells at the end whether something is missing.

    Depth counts brackets. Entries begin where it equals `_listed`: at the top (0), or one below the bracket of a list
    of messages; -1 stands for an object whose list has been read, where nothing else is wanted. `_keyed` is the depth
    of an object whose keys may lead to a list.
    """

    def __init__(self) -> None:
        self.too_long: list[int] = []  # offsets of what was left out
        self._held, self._base, self._line = bytearray(), 0, 1  # bytes still needed; offset and line of the first
        self._at = 0  # where to look on; this and what follows are places in what is held
        self._entry: int | None = None
        self._gap = 0  # behind the last entry
        self._text: int | None = None
        self._key = b""
        self._depth = self._listed = self._keyed = 0
        self._lost: int | None = None  # an object at the top that is too long, unless a list is found in it

    @property
    def open(self) -> bool:
        return self._depth > 0 or self._text is not None

    def feed(self, chunk: bytes) -> Iterator[Entry]:
        self._held += chunk
        while found := (_OUTSIDE if self._text is None else _INSIDE).search(self._held, self._at):
            at, sign = found.start(), found.group()
            self._at = at + 1
            if sign == b"\\":
                self._at = at + 2  # perhaps behind what is held: the next chunk begins with what it escapes
            elif sign == b'"':
                self._quote(at)
            elif sign in b"[{":
                yield from self._begin(at, is_list=sign == b"[")
            else:
                yield from self._end(at)
        self._at = max(self._at, len(self._held))
        self._shrink()

    def finish(self) -> Iterator[Entry]:
        """What stands behind the last value."""
        if not self.open:
            yield from self._between(len(self._held))

    def _quote(self, at: int) -> None:
        if self._text is None:
            self._text = at + 1
            return
        if self._depth == self._keyed:
            self._key = bytes(self._held[self._text : at])
        self._text = None

    def _begin(self, at: int, *, is_list: bool) -> Iterator[Entry]:
        if self._depth == self._listed:
            yield from self._between(at)
            if self._depth == 0 and is_list:
                self._descend(at)
            else:
                self._entry, self._keyed, self._key = at, 0 if self._listed else 1, b""
        elif self._listed <= 0 and self._depth == self._keyed and self._key in _KEYS:
            if is_list:
                self._descend(at)
            else:
                self._keyed = self._depth + 1
        self._depth += 1

    def _descend(self, at: int) -> None:
        """Into a list of messages: its object is none itself."""
        self._listed, self._gap, self._entry, self._lost = self._depth + 1, at + 1, None, None

    def _end(self, at: int) -> Iterator[Entry]:
        if self._depth == 0:
            return  # one bracket too many: it stays in the gap, and is rejected with it
        self._depth -= 1
        if self._depth == self._listed:
            yield from self._end_entry(at)
        elif self._depth == self._listed - 1:
            yield from self._between(at)
            self._listed, self._keyed = -1, self._depth
        elif self._depth < self._keyed:
            self._keyed = self._depth
        if self._depth == 0 and self._listed < 0:
            self._listed, self._gap = 0, at + 1

    def _end_entry(self, at: int) -> Iterator[Entry]:
        if self._entry is not None:
            yield self._cut(self._entry, at + 1, lone=self._depth == 0)
        elif self._lost is not None:
            self.too_long.append(self._lost)
        self._entry, self._lost, self._gap = None, None, at + 1

    def _between(self, end: int) -> Iterator[Entry]:
        """Between two entries there are blanks and commas; anything else is an entry too, though of a wrong kind."""
        if self._held[self._gap : end].strip(_BLANK):
            yield self._cut(self._gap, end)

    def _cut(self, start: int, end: int, *, lone: bool = False) -> Entry:
        raw = bytes(self._held[start:end])
        bare = raw.lstrip(_BLANK)
        start += len(raw) - len(bare)
        return Entry(self._base + start, self._line + self._held.count(b"\n", 0, start), bare.rstrip(_BLANK), lone)

    def _shrink(self) -> None:
        """Let go of what was cut, and of what grows too long."""
        keep = self._needed()
        if len(self._held) - keep > LONGEST:
            self._give_up(keep)
            keep = len(self._held)
        self._line += self._held.count(b"\n", 0, keep)
        del self._held[:keep]
        self._base, self._at, self._gap = self._base + keep, self._at - keep, max(self._gap - keep, 0)
        self._entry = None if self._entry is None else self._entry - keep
        self._text = None if self._text is None else max(self._text - keep, 0)

    def _needed(self) -> int:
        if self._entry is not None:
            return self._entry
        if self._depth == self._listed:
            return self._gap
        return len(self._held) if self._text is None else self._text

    def _give_up(self, start: int) -> None:
        if self._listed == 0 and self._depth:
            self._lost = self._base + start
        else:
            self.too_long.append(self._base + start)
        self._entry, self._gap = None, len(self._held)


class ExportReader:
    """Hands the entries of one export to a keeper. `pause` is called every now and then, between two entries."""

    def __init__(self, keeper: Keeper, source: Source, pause: Callable[[int], None]) -> None:
        self.keeper, self.source, self.pause = keeper, source, pause
        self.strangers = 0

    def read(self, file: BinaryIO) -> str:
        """Read it from its start. What is missing, in words; nothing when it was read to its end."""
        cutter = Cutter()
        while chunk := file.read(CHUNK):
            for entry in cutter.feed(chunk):
                self._take(entry)
            self.source.read += len(chunk)
            self.pause(len(chunk))
        for entry in cutter.finish():
            self._take(entry)
        return self._missing(cutter)

    def _missing(self, cutter: Cutter) -> str:
        if cutter.too_long:
            return f"longer than {LONGEST >> 20} MiB, left out: the entry at byte {cutter.too_long[0]}"
        if cutter.open:
            return "ends in the middle; what is whole was read"
        return "holds no messages; lists are looked for under " + ", ".join(LISTS) if self.strangers else ""

    def _take(self, entry: Entry) -> None:
        """An entry goes the way of a line, unless it is a conversation."""
        try:
            record = parse_record(entry.raw)
        except BrokenRecordError:
            self._take_whole(entry)
            return
        members = None if record.keys() & set(SIGNS) else _members(record)
        if members is not None:
            self._take_members(members, entry)
        elif entry.lone and not record.keys() & {*SIGNS, *WEAK_SIGNS}:
            self.strangers += 1
        else:
            self._take_whole(entry)

    def _take_whole(self, entry: Entry) -> None:
        self.keeper.take(entry.raw, self.source, entry.line, entry.offset)

    def _take_members(self, members: list[Any], entry: Entry) -> None:
        for member in members:
            raw = json.dumps(member).encode()
            self.keeper.take(raw, self.source, entry.line, entry.offset)


def _members(record: dict[str, Any]) -> list[Any] | None:
    """The messages of a conversation."""
    for name in LISTS:
        held = record.get(name)
        if isinstance(held, list) and all(isinstance(item, dict) for item in held):
            return held
        if isinstance(held, dict) and (inner := _members(held)) is not None:
            return inner
    return None
