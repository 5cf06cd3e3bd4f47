"""Hooks: shell lines that a person wants run inside, once for a home or at each start. Owns the shape and the ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from builder.core.fields import FreeText
from builder.core.validation import WHOLE, Section, as_list
from builder.model import Hook, Runtime

ALL: Final = "all"  # in the list of a home: it has seen its last hook, whatever is written later

Lines = Annotated[tuple[FreeText, ...], BeforeValidator(as_list), Field(max_length=50)]


class HookChoice(Section):
    """Lines for a shell, run as the user in ~/projects. `timeout` is seconds for each."""

    on_create: Lines = ()
    on_start: Lines = ()
    timeout: Annotated[int, Field(ge=1, le=86_400), WHOLE] = 600

    def make(self) -> Iterator[Hook]:
        """In the order in which they run."""
        for moment, lines in (("on_create", self.on_create), ("on_start", self.on_start)):
            for number, line in enumerate(lines, start=1):
                digest = hashlib.sha256(f"{number}\n{line}".encode()).hexdigest()
                yield Hook(
                    moment=moment, number=number, of=len(lines), line=line, id=digest[:16], timeout_s=self.timeout
                )


def choose_hooks(runtime: Runtime, moment: str) -> tuple[Hook, ...]:
    return tuple(hook for hook in runtime.hooks if hook.moment == moment)
