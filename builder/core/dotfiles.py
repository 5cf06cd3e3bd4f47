"""`dotfiles:` of devbox.yaml: a person's own settings, put into a new home. Owns the shape of that key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from builder.core.fields import GitUrl, HostPath  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.validation import WHOLE, Section, written, wrong

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


class DotfilesChoice(Section):
    """A text is `git` where it is an address, else `path`. `timeout` is seconds for the fetch, and for the script."""

    git: GitUrl | None = None
    path: HostPath | None = None
    timeout: Annotated[int, Field(ge=1, le=3600), WHOLE] = 120

    @classmethod
    def expand(cls, value: object) -> object:
        if not isinstance(value, str) or not isinstance(written(value), str):
            return value
        return {"git" if re.match(r"[a-z]+://|[^/~.][^/]*:", value) else "path": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["git"], keys["path"]]

    @model_validator(mode="after")
    def _one_source(self) -> DotfilesChoice:
        if self.git is not None and self.path is not None:
            raise wrong("git and path exclude each other", "dotfiles come from one place")
        return self
