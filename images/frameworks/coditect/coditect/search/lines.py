"""One message, read by its place in the messages file, and proved to be the one that is meant."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from coditect.errors import StoreError

if TYPE_CHECKING:
    from typing import BinaryIO

_DECODER: Final = json.JSONDecoder()


class OutOfStepError(StoreError):
    """The messages file is not the one that was indexed."""


def read_line(messages: BinaryIO, offset: int, length: int, message_id: bytes) -> bytes:
    """The line there, without its end. Raises OutOfStepError when it is another message's."""
    messages.seek(offset)
    line = messages.read(length)
    if hashlib.sha256(line).digest() != message_id:
        raise OutOfStepError(
            "the messages file is not the one that was indexed", where=messages.name, hint="run: coditect index"
        )
    return line


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None when it is none. Ingest proved the lines: no second proof here, which is slow."""
    try:
        record = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def storable(text: str) -> str:
    """`text` as UTF-8 can carry it: a lone surrogate, which only an escape can write, becomes a question mark."""
    return text.encode(errors="replace").decode()
