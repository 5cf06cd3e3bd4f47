"""The JSON Schemas of devbox.yaml and of the catalogue's files, for editors.

Owns what pydantic's own description lacks: what a key means, short forms, and that text is taken as it is written. A
schema sees less than the parser: names of the catalogue, keys that belong together, files of this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema

from builder.core.catalog import BaseFile, ProfileFile, ToolFile, profile_tools
from builder.core.config import Config, dev_list, env_files, tool_mapping
from builder.core.schema_words import KEYS
from builder.core.sidecars import SidecarFile, sidecar_mapping
from builder.core.validation import as_list, model_at

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MODELS: Final[Mapping[str, tuple[type[BaseModel], str]]] = {
    "config": (Config, "devbox.yaml"),
    "tool": (ToolFile, "images/tools/<name>.yaml"),
    "base": (BaseFile, "images/bases/<name>.yaml"),
    "profile": (ProfileFile, "images/profiles/<name>.yaml"),
    "sidecar": (SidecarFile, "images/sidecars/<name>.yaml"),
}
NULL: Final = {"type": "null"}
NAMED: Final = ("properties", "patternProperties", "$defs")


def make_schema(kind: str = "config") -> dict[str, Any]:
    """The schema of one kind of file; `kind` is a key of MODELS."""
    model, title = MODELS[kind]
    schema = model.model_json_schema(schema_generator=_WithShortForms)
    if model is Config:
        schema["required"] = []  # the name comes from the folder
    for part in _parts(schema):
        _tidy(part)
    if model is Config:
        _describe(schema)
    return {"$schema": DIALECT, **schema, "title": title}


def schema_text(kind: str = "config") -> str:
    """The same as a file."""
    return json.dumps(make_schema(kind), indent=2, ensure_ascii=False) + "\n"


class _WithShortForms(GenerateJsonSchema):
    """Says what our validators take besides what they make of it."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        made = super().function_before_schema(schema)
        short = _SHORT_FORMS.get(schema["function"]["function"])
        return {"anyOf": [*short(made), made]} if short else made


def _names_of(mapping: JsonSchemaValue) -> JsonSchemaValue:
    """A list of names in place of a mapping from them."""
    (pattern,) = mapping["patternProperties"]
    name = {**mapping["propertyNames"], "type": "string", "pattern": pattern}
    return {"type": "array", "items": name, "uniqueItems": True}


_SHORT_FORMS: Final[Mapping[object, Callable[[JsonSchemaValue], list[JsonSchemaValue]]]] = {
    as_list: lambda made: [made["items"]],
    dev_list: lambda made: [{"const": False}, made["items"]],
    env_files: lambda made: [{"const": False}, made["items"]],
    profile_tools: lambda made: [_names_of(made)],
    sidecar_mapping: lambda made: [_names_of(made)],
    tool_mapping: lambda made: [_names_of(made)],
}


def _parts(node: object) -> Iterator[dict[str, Any]]:
    """Every schema within a schema, the inner ones first. What is named by its keys is none itself."""
    if isinstance(node, list):
        for item in node:
            yield from _parts(item)
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from _parts(list(item.values()) if key in NAMED and isinstance(item, dict) else item)
        yield node


def _tidy(part: dict[str, Any]) -> None:
    if part.get("type") == "string" and "pattern" in part:
        part["type"] = _types("string", *_also_written(part["pattern"]))
    if "anyOf" in part:
        part["anyOf"] = [form for outer in part["anyOf"] for form in _flat(outer)]
        if longest := part.pop("maxLength", None):  # pydantic's word for the length of a tuple
            for form in part["anyOf"]:
                if form.get("type") == "array":
                    form["maxItems"] = longest
    if "patternProperties" in part:
        part["additionalProperties"] = False
    if isinstance(part.get("default"), (dict, list)):
        del part["default"]  # of a section: its keys say theirs
    required = part.get("required", [])
    for name, key in part.get("properties", {}).items():
        key.pop("title", None)
        if name not in required:
            part["properties"][name] = _or_nothing(key)


def _flat(form: dict[str, Any]) -> list[dict[str, Any]]:
    """The forms of a choice within a choice."""
    inner: list[dict[str, Any]] = form.get("anyOf", [])
    return inner if inner and not form.keys() - {"anyOf", "default", "title"} else [form]


def _types(*names: str) -> str | list[str]:
    found = list(dict.fromkeys(names))
    return found if len(found) > 1 else found[0]


def _also_written(pattern: str) -> Iterator[str]:
    """Text is taken as it is written: where digits alone match, an editor sees a number, for 20 and 1.10."""
    if re.search(pattern, "2.5"):
        yield "number"
    elif re.search(pattern, "300"):
        yield "integer"
    if re.search(pattern, "true"):
        yield "boolean"


def _or_nothing(key: dict[str, Any]) -> dict[str, Any]:
    """A key with nothing behind it counts as not written."""
    if key.get("default", ...) is None:
        del key["default"]
    if forms := [form for form in key.get("anyOf", ()) if form != NULL]:
        return {**key, "anyOf": [*forms, NULL]} if len(forms) > 1 else _or_nothing({**forms[0], **_outside(key)})
    kind = key.get("type")
    if kind is None:  # a reference
        return {**_outside(key), "anyOf": [{"$ref": key["$ref"]}, NULL]}
    more = {"enum": [*key["enum"], None]} if "enum" in key else {}
    return {**key, "type": _types(*([kind] if isinstance(kind, str) else kind), "null"), **more}


def _outside(key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in ("default", "description") if name in key}


def _describe(schema: dict[str, Any]) -> None:
    for path, words in KEYS.items():
        *above, name = path.split(".")
        model = model_at(Config, tuple(above))
        section = schema if model is Config else schema["$defs"][model.__name__]
        for part in [section, *section.get("anyOf", ())]:
            if name in part.get("properties", {}):
                part["properties"][name]["description"] = words
