"""Every place of devbox.yaml where a person writes a text, found in the models themselves, so that none is forgotten.

A place is written like a path: `apt[]` is each item of a list, `environment{}` each value of a mapping and
`environment{key}` each of its keys.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from builder.core.config import Config
from builder.core.validation import Text

NUMBERS: Final = (int, float, bool, type(None))
Place = tuple[str, ...]  # names of keys, and "[]", "{}", "{key}"


def text_fields(model: type[BaseModel] = Config) -> dict[str, Text]:
    """The rule of every text of `model`, by its place. Raises TypeError for one without a rule, or an unknown type."""
    return dict(_of_model(model, ""))


def _of_model(model: type[BaseModel], place: str) -> Iterator[tuple[str, Text]]:
    for name, field in model.model_fields.items():
        inner = f"{place}.{field.alias or name}".removeprefix(".")
        yield from _of_type(field.annotation, tuple(field.metadata), inner)


def _of_type(annotation: Any, metadata: tuple[object, ...], place: str) -> Iterator[tuple[str, Text]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _of_type(arguments[0], (*arguments[1:], *metadata), place)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _of_type(argument, metadata, place)
    elif origin in (tuple, list, set, frozenset):
        yield from _of_type(arguments[0], (), f"{place}[]")
    elif origin is dict:
        yield from _of_type(arguments[0], (), f"{place}{{key}}")
        yield from _of_type(arguments[1], (), f"{place}{{}}")
    elif annotation is str:
        yield place, _rule(metadata, place)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _of_model(annotation, place)
    elif not _is_closed(annotation):
        raise TypeError(f"{place}: the walk over the schema does not know {annotation!r}; teach it, or no test sees it")


def _is_closed(annotation: Any) -> bool:
    """A number, or one of a fixed set of words: nothing of a person's own gets through."""
    is_enum = isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    return annotation in NUMBERS or get_origin(annotation) is Literal or is_enum


def _rule(metadata: tuple[object, ...], place: str) -> Text:
    rules = [item for item in metadata if isinstance(item, Text)]
    if len(rules) != 1:
        raise TypeError(
            f"{place}: a text needs exactly one rule, Annotated[str, Text(...)]; see builder/core/fields.py"
        )
    return rules[0]
