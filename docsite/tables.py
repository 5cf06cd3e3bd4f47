"""Markdown of a table, and JSON Schema in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

_KINDS: Final = {"boolean": "`true` or `false`", "object": "mapping", "integer": "whole number", "array": "list"}


def make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (" ".join(_escape(cell).split()) for cell in row)
        lines.append("|" + "".join(f" {cell} |" if cell else " |" for cell in cells))
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    """As a cell of a table; `<name>` is no tag, unless it stands in code."""
    parts = re.split(r"(`[^`]*`)", cell.replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def describe_kind(schema: dict[str, Any], named: dict[str, dict[str, Any]]) -> str:
    """What may be written for a key. `named` are the schema's own definitions."""
    return ", ".join(dict.fromkeys(_kinds(schema, named)))


def _kinds(schema: dict[str, Any], named: dict[str, dict[str, Any]]) -> Iterator[str]:
    if reference := schema.get("$ref"):
        yield from _kinds(named[reference.rpartition("/")[2]], named)
    elif "const" in schema:
        yield f"`{str(schema['const']).lower()}`"
    elif "enum" in schema:
        yield from (f"`{item}`" for item in schema["enum"] if item is not None)
    elif "anyOf" in schema:
        for form in schema["anyOf"]:
            if form.get("type") != "null":
                yield from _kinds(form, named)
    else:
        yield from _kinds_of_type(schema, named)


def _kinds_of_type(schema: dict[str, Any], named: dict[str, dict[str, Any]]) -> Iterator[str]:
    kind = schema.get("type", "anything")
    kinds = [kind] if isinstance(kind, str) else [item for item in kind if item != "null"]
    if "string" in kinds:
        yield "text"  # that a number is taken as text, too, is no other kind to a person
    elif kinds == ["array"]:
        inner = describe_kind(schema.get("items", {}), named)
        yield f"list of {inner}" if inner in ("text", "mapping") else "list"
    else:
        yield from (_KINDS.get(item, item) + _range(schema) for item in kinds)


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return "" if least is None or most is None else f" from {least} to {most}"
