"""Canonical form and content ids: the one way in which devbox hashes anything.

Source of the form: sorted keys, no white space, UTF-8, as in RFC 8785 for the plain data that is used here (no floats
enter an id).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from builder.model import Secret

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


def make_plain(value: object) -> Plain:
    """Turn nested nouns into plain JSON data. Secrets stay hidden; sets come out sorted.

    Raises TypeError for anything that has no canonical form.
    """
    match value:
        case None | str() | int() | float():
            return value
        case Enum():
            return make_plain(value.value)
        case Secret():
            return str(value)
        case Mapping():
            return {str(key): make_plain(value[key]) for key in sorted(value, key=str)}
        case set() | frozenset():
            return [make_plain(item) for item in sorted(value, key=str)]
        case list() | tuple():
            return [make_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: make_plain(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: object) -> str:
    return json.dumps(make_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(value: object) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def bytes_id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
