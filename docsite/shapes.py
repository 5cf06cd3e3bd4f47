"""The shape of a dataclass as JSON, and what its comments say of each field.

A field is described where it is declared: by the comment behind it. So there is one place for it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Final

PLAIN: Final = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "None": "null",
    "object": "any",
}
LISTS: Final = ("tuple", "Sequence", "list", "frozenset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One field. `inner` are the dataclasses that its value is made of."""

    name: str
    kind: str
    words: str
    inner: tuple[type, ...]


def find_comment(source: str, field: str) -> str:
    """What stands behind a field in the source of its class, or in the line above it."""
    match = re.search(rf"(?:^    # (.*)\n)?^    {field}: .*?(?:  # (.*))?$", source, re.MULTILINE)
    return (match[2] or match[1] or "") if match else ""


def find_words(shape: type) -> str:
    """What a class says of itself; nothing where Python made the text."""
    own = shape.__doc__ or ""
    return "" if own.startswith(f"{shape.__name__}(") else " ".join(own.split())


def find_fields(shape: type) -> Iterator[Shown]:
    source = inspect.getsource(shape)
    for item in fields(shape):
        kind, inner = _describe(ast.parse(str(item.type), mode="eval").body, shape)
        yield Shown(name=item.name, kind=kind, words=find_comment(source, item.name), inner=tuple(inner))


def _describe(node: ast.expr, shape: type) -> tuple[str, list[type]]:
    """An annotation in the words of JSON."""
    if isinstance(node, ast.BinOp):  # X | Y
        (left, one), (right, other) = _describe(node.left, shape), _describe(node.right, shape)
        return f"{left} or {right}", one + other
    if isinstance(node, ast.Subscript):
        name, of = ast.unparse(node.value), node.slice
        args = of.elts if isinstance(of, ast.Tuple) else [of]
        if name in LISTS:
            kind, inner = _describe(args[0], shape)
            return f"list of {kind}", inner
        kind, inner = _describe(args[-1], shape)  # of a mapping
        return f"object of {kind}", inner
    name = ast.unparse(node)
    if name in PLAIN:
        return PLAIN[name], []
    return _describe_class(_find(name, shape), shape)


def _describe_class(found: object, shape: type) -> tuple[str, list[type]]:
    if not isinstance(found, type):
        return "any", []
    if is_dataclass(found):
        return f"[{found.__name__}](#{found.__name__.lower()})", [found]
    if issubclass(found, Enum):
        return " or ".join(f"`{item.value}`" for item in found), []
    return "any", []


def _find(name: str, shape: type) -> object:
    """What a name of an annotation stands for, also where it is imported for the types alone."""
    module = sys.modules[shape.__module__]
    if hasattr(module, name):
        return getattr(module, name)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and name in [item.name for item in node.names]:
            return getattr(importlib.import_module(node.module), name)
    raise LookupError(f"{name}, of {shape.__module__}.{shape.__name__}")
