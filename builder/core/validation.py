"""pydantic at the edge: the shared types of text, numbers and switches, and its errors put in our words.

Owns how written data meets a model. Must not know any particular model; config and catalogue build on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic import ValidationError as PydanticError
from pydantic_core import PydanticCustomError, core_schema

from builder.core.problems import Path, Problem, Source, choose_hint, make_error, nearest, shown
from builder.core.source import FORBIDDEN, Scalar

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema, ErrorDetails


def wrong(message: str, hint: str | None = None) -> PydanticCustomError:
    """The error that a validator raises. Braces are pydantic's placeholders, so the words travel as context."""
    return PydanticCustomError("devbox", "{message}", {"message": message, "hint": hint or ""})


def written(value: object) -> object:
    """The YAML value of a scalar; anything else as it is."""
    return value.value if isinstance(value, Scalar) else value


# ------------------------------------------------------------------------------------------------------ types


@dataclass(frozen=True, slots=True)
class Text:
    """The rule that every string field states: `Annotated[str, Text(what, pattern, limit)]`.

    `what` completes "is not ..."; `pattern` must match all of the text. No text may hold control characters, hidden
    line separators or bidi marks, whatever its pattern says: such a text could add lines to a Dockerfile.
    """

    what: str
    pattern: str = r".+"
    limit: int = 200
    example: str | None = None

    def __call__(self, value: object) -> str:
        if not isinstance(value, str) or written(value) is None:
            raise wrong(f"{self.what} is expected, not {describe(value)}", self._hint())
        text = str(value)
        if found := FORBIDDEN.search(text):
            raise wrong(f"{self.what} cannot hold the character U+{ord(found.group()):04X}", self._hint())
        if len(text) > self.limit:
            raise wrong(f"{self.what} has at most {self.limit} characters, this has {len(text)}")
        if not re.fullmatch(self.pattern, text):
            raise wrong(f"{shown(text)} is not {self.what}", self._hint())
        return text

    def _hint(self) -> str | None:
        return f"for example {self.example}" if self.example else None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self, core_schema.str_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.limit, "description": self.what}


def _number(value: object) -> object:
    plain = written(value)
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise wrong(f"a number is expected, not {describe(value)}", _unquote_hint(value))
    return plain


def _whole(value: object) -> object:
    plain = written(value)
    if isinstance(plain, bool) or not isinstance(plain, int):
        raise wrong(f"a whole number is expected, not {describe(value)}", _unquote_hint(value))
    return plain


def _switch(value: object) -> object:
    plain = written(value)
    if not isinstance(plain, bool):
        raise wrong(f"true or false is expected, not {describe(value)}")
    return plain


# `Annotated[int, Field(ge=1), WHOLE]`: read as written, then held within its limits.
WHOLE: Final = BeforeValidator(_whole)
NUMBER: Final = BeforeValidator(_number)
Switch = Annotated[bool, BeforeValidator(_switch)]

HexDigest = Annotated[str, Text("a SHA-256 in hexadecimal", r"[0-9a-f]{64}", 64)]


def one_of(what: str, *choices: str) -> Text:
    return Text(what, "|".join(map(re.escape, choices)), example=", ".join(choices))


def _unquote_hint(value: object) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"[-+]?[0-9.]+", value):
        return None
    return "write it without leading zeros" if value.startswith("0") else "write it without quotes"


def describe(value: object) -> str:
    """A written value in words, for "x is expected, not ..."."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "nothing" if written(value) is None else shown(value)


# --------------------------------------------------------------------------------------------------- sections


class Section(BaseModel):
    """A group of keys. A key with nothing behind it counts as not written, so that its lines can be commented out.

    `short_form` names the key that a lone scalar stands for; a subclass with more short forms overrides `expand`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    short_form: ClassVar[str | None] = None

    @classmethod
    def expand(cls, value: object) -> object:
        if cls.short_form and not isinstance(value, (Mapping, list, tuple)):
            return {cls.short_form: value}
        return value

    @model_validator(mode="before")
    @classmethod
    def _read_written(cls, value: object) -> object:
        if isinstance(value, cls):
            return value
        value = cls.expand(value)
        if not isinstance(value, Mapping):
            raise wrong(f"a mapping is expected, not {describe(value)}", f"its keys are {', '.join(keys_of(cls))}")
        return {key: item for key, item in value.items() if written(item) is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler(schema)
        short = cls.short_schema(handler.resolve_ref_schema(full)["properties"])
        return {"anyOf": [*short, full]} if short else full

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        """What may stand in place of the mapping, given the schemas of its keys."""
        return [keys[cls.short_form]] if cls.short_form else []


def as_list(value: object) -> object:
    """One item in place of a list of one. A mapping is no item: no list of texts holds one."""
    if isinstance(value, (list, tuple, Mapping)):
        return value
    return [] if written(value) is None else [value]


# ----------------------------------------------------------------------------------------------------- errors

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], source: Source) -> Model:
    """The model of a document; raises ConfigError with everything that is wrong in it."""
    found, problems = check(model, source)
    if found is None:
        raise make_error(problems)
    return found


def check(model: type[Model], source: Source) -> tuple[Model | None, list[Problem]]:
    """The model of a document, or None and everything that is wrong in it, in the order of the lines."""
    try:
        return model.model_validate(source.data), []
    except PydanticError as error:
        return None, list(dict.fromkeys(_problems(error, model, source)))


def _problems(error: PydanticError, model: type[BaseModel], source: Source) -> Iterator[Problem]:
    found = error.errors(include_url=False)
    placed = ((source.position(source.as_written(_path(item))), item) for item in found)
    ordered = sorted(placed, key=lambda pair: (pair[0].line, pair[0].column) if pair[0] else (0, 0))
    for _, item in ordered:
        path = source.as_written(_path(item))
        message, hint, of_key = _in_words(item, path, model)
        yield source.problem(path, message, hint=hint, of_key=of_key)


def _path(item: ErrorDetails) -> Path:
    return tuple(part for part in item["loc"] if part != "[key]")


def _in_words(item: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str | None, bool]:
    context: dict[str, Any] = item.get("ctx", {})
    about_key = item["loc"][-1:] == ("[key]",) or isinstance(item["input"], (Mapping, list))
    if item["type"] == "devbox":
        return context["message"], context["hint"] or None, about_key
    if item["type"] == "extra_forbidden":
        return (*_unknown_key(str(path[-1]), path, model), True)
    if item["type"] == "missing":
        return f"the key `{path[-1]}` is missing", None, True
    words = _WORDS.get(item["type"])
    return words(context, item["input"]) if words else item["msg"], None, about_key


def _unknown_key(key: str, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    known = keys_of(model_at(model, path[:-1]))
    close = nearest(key, known)
    hint = f"did you mean `{close}`?" if close else choose_hint(key, known).replace("choices", "keys here")
    return f"unknown key {shown(key)}", hint


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The model that the part of a document at `path` is read with."""
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        inner = next(_models_in(field.annotation), None) if field else None
        model = inner or model
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


_WORDS: Final[Mapping[str, Callable[[dict[str, Any], object], str]]] = {
    "greater_than_equal": lambda context, value: f"{shown(value)} is too small: at least {context['ge']}",
    "greater_than": lambda context, value: f"{shown(value)} is too small: more than {context['gt']}",
    "less_than_equal": lambda context, value: f"{shown(value)} is too large: at most {context['le']}",
    "too_long": lambda context, _: f"too many entries: {context['actual_length']}, at most {context['max_length']}",
    "too_short": lambda context, _: f"too few entries: at least {context['min_length']}",
    "tuple_type": lambda _, value: f"a list is expected, not {describe(value)}",
    "list_type": lambda _, value: f"a list is expected, not {describe(value)}",
    "dict_type": lambda _, value: f"a mapping is expected, not {describe(value)}",
    "mapping_type": lambda _, value: f"a mapping is expected, not {describe(value)}",
}
