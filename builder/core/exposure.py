"""`expose:` of devbox.yaml: which doors of a workstation other machines can reach, and by what name.

Owns the shape of that key. Must not look anything up: certificates are read by an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from builder.core.fields import AnyAddress, HostName, HostPath  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.validation import Section, Switch, as_list, written, wrong

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # it is what `expose: true` asks for


class Expose(Section):
    """The web desktop for other machines, by TLS and with a login; with `ssh`, SSH too. `true` is every address of
    this machine, a plain text is `address`. Raw VNC and dev servers stay with this machine."""

    enabled: Switch = True
    address: AnyAddress = EVERYWHERE
    names: Annotated[tuple[HostName, ...], BeforeValidator(as_list), Field(max_length=20)] = ()
    certificate: HostPath | None = None
    key: HostPath | None = None
    ssh: Switch = False

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, (Mapping, list, tuple)):
            return value
        plain = written(value)
        return {"enabled": plain} if isinstance(plain, bool) else {"address": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["address"], {"type": "boolean"}]

    @model_validator(mode="after")
    def _fits_together(self) -> Expose:
        if (self.certificate is None) != (self.key is None):
            raise wrong("`certificate` and `key` belong together", "write both, or neither for one of devbox's own")
        if not self.enabled and self.model_fields_set - {"enabled"} and self != Expose(enabled=False):
            raise wrong("nothing is exposed, so the other keys mean nothing", "leave `enabled` out, or them")
        return self
