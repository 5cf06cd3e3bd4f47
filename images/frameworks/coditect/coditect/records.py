"""What a message is: its canonical form, its identity, and what can be read from it.

A record is one JSON object of a session file. Two records are the same message when their canonical JSON is: nothing
is left out and nothing guessed, so that no two different messages are ever taken for one. Pure functions only.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from coditect.moments import in_calendar, read_iso

Record = Mapping[str, Any]


class BrokenRecordError(ValueError):
    """A line that is no JSON object; the text says why."""


def parse_record(line: bytes) -> dict[str, Any]:
    """One line of a session file. Raises BrokenRecordError."""
    try:
        record = _DECODER.decode(line.decode(json.detect_encoding(line), "surrogatepass"))
    except RecursionError as error:
        raise BrokenRecordError("nested too deeply") from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise BrokenRecordError(str(error)) from error
    if not isinstance(record, dict):
        raise BrokenRecordError(f"a JSON object is expected, not {type(record).__name__}")
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise BrokenRecordError(f"{name} is no JSON")


# json.loads and json.dumps would make one of these for every message.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(record: Record) -> bytes:
    """Sorted keys, no spaces, UTF-8, one line. Text that UTF-8 cannot carry (a lone surrogate) is escaped.

    Raises BrokenRecordError for what has no such form: 1e999 is infinite to Python, and all infinite numbers would be
    the same message; and what is nested as deeply as Python goes.
    """
    try:
        return _ENCODER.encode(record).encode()
    except UnicodeEncodeError:
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    except RecursionError as error:
        raise BrokenRecordError("nested too deeply") from error
    except ValueError as error:
        raise BrokenRecordError("a number is too large") from error


def message_id(canonical: bytes) -> bytes:
    """SHA-256 (32 bytes) of canonical JSON: the identity of a message, shown as hex."""
    return hashlib.sha256(canonical).digest()


@dataclass(frozen=True)
class Fields:
    """What search and extraction ask of a message. Empty text where a record does not say.

    role: user, assistant, system, or what the record calls it. kind: text, tool_use, tool_result, thinking, summary,
    or the record's own type. tool: names of the tools called, with a space between. time: seconds since 1970, or None.
    project: the folder the session worked in. text: all that a person could search for, parts on lines of their own.
    """

    role: str
    kind: str
    tool: str
    project: str
    session: str
    time: float | None
    text: str


def read_fields(record: Record) -> Fields:
    """Claude Code's transcripts (`{"type": ..., "message": {...}}`) and plain exports (`{"role", "content"}`)."""
    inner = record.get("message")
    message: Record = inner if isinstance(inner, dict) else record
    blocks = list(read_blocks(message.get("content")))
    return Fields(
        role=_text(message.get("role")) or _text(record.get("role")) or _text(record.get("type")),
        kind=_kind(record, blocks),
        tool=" ".join(_text(block.get("name")) for block in blocks if block.get("type") == "tool_use").strip(),
        project=_text(record.get("cwd")) or _text(record.get("project")),
        session=_text(record.get("sessionId")) or _text(record.get("session_id")) or _text(record.get("session")),
        time=read_time(record.get("timestamp", record.get("created_at", record.get("time")))),
        text="\n".join(part for part in _parts(record, inner, blocks) if part),
    )


# Not even in ns; an integer beyond may be too large for a float.
_NO_MOMENT: Final = 1e21


def read_time(value: object) -> float | None:
    """ISO 8601 (without a zone: UTC), or a number since 1970: of seconds, ms, µs or ns, as its size tells.

    None for what is no moment of the years 1 to 9999.
    """
    if isinstance(value, str):
        try:
            moment = read_iso(value)
        except ValueError:
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _NO_MOMENT:
        seconds = value / (1 if value <= 1e11 else 1e3 if value <= 1e14 else 1e6 if value <= 1e17 else 1e9)
    else:
        return None
    return seconds if in_calendar(seconds) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def read_blocks(content: object) -> Iterator[Record]:
    """The content blocks of a message; plain text is one block."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict):
                yield block
            elif isinstance(block, str):
                yield {"type": "text", "text": block}


def _kind(record: Record, blocks: list[Record]) -> str:
    kinds = {_text(block.get("type")) for block in blocks}
    for kind in ("tool_use", "tool_result", "text", "thinking"):
        if kind in kinds:
            return kind
    return _text(record.get("type")) or "text"


def _parts(record: Record, inner: object, blocks: list[Record]) -> Iterator[str]:
    if isinstance(inner, str):
        yield inner
    for key in ("summary", "text"):
        yield _text(record.get(key))
    for block in blocks:
        yield from _block_texts(block)


def _block_texts(block: Record) -> Iterator[str]:
    yield _text(block.get("text"))
    yield _text(block.get("thinking"))
    if block.get("type") == "tool_use":
        yield from _leaves(block.get("input"))
    if block.get("type") == "tool_result":
        for part in read_blocks(block.get("content")):
            yield _text(part.get("text"))


def _leaves(value: object) -> Iterator[str]:
    """Every text inside the arguments of a tool, in order. No recursion: JSON may be nested deeper than Python goes."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
