"""What devbox.yaml says of something that comes in versions: a tool, a sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from builder.core.fields import Version  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.validation import Section, Switch, written

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


class VersionChoice(Section):
    """A version as text, true for the default one, false to leave it out."""

    enabled: Switch = True
    version: Version | None = None

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, (Mapping, list)):
            return value
        plain = written(value)
        return {"enabled": plain is not False} if plain is None or isinstance(plain, bool) else {"version": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["version"], {"type": ["number", "boolean"]}]
