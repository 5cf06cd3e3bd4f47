"""Comparing versions, as far as a catalogue needs it: numbers between dots, and `>=18,<22`.

Owns no knowledge of any tool. PEP 440 would be more than what catalogue files may say.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

SPEC_PATTERN: Final = r"(?:>=|<=|==|!=|>|<)[0-9]+(?:\.[0-9]+)*(?:,(?:>=|<=|==|!=|>|<)[0-9]+(?:\.[0-9]+)*)*"

_OPERATORS: Final[Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def version_key(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without zeros at the end: 3.10.0-rc1 -> (3, 10)."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in found.group().split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def satisfies(version: str, spec: str) -> bool:
    """Whether `version` lies within `spec`, for example `>=18,<22`. Raises ValueError for another form."""
    if not re.fullmatch(SPEC_PATTERN, spec):
        raise ValueError(f"not a version specifier: {spec}")
    parts = (re.fullmatch(r"([<>=!]+)(.*)", part) for part in spec.split(","))
    return all(_OPERATORS[part.group(1)](version_key(version), version_key(part.group(2))) for part in parts if part)
