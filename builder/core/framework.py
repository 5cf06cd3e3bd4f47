"""`framework:` of devbox.yaml: which framework a workstation has, and where it comes from.

Owns the shape of that key. Must not look anything up: which tool it becomes is decided in `selection` and `resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pydantic import model_validator

from builder.core.fields import GitRevision, GitUrl, HostPath, NpmPackage, WheelPath  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.own_checks import OwnChecks  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.problems import choose_hint
from builder.core.validation import Section, Switch, describe, written, wrong

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

_BUNDLED: Final = "bundled"
_WITHOUT: Final = "none"
_SOURCES: Final = ("path", "git", "wheel", "npm")


class Framework(Section):
    """The team's framework. `bundled` is the profile's own, `none` or false leaves it out; else one source of another.

    `ingest` is the bundled one's background service.
    """

    enabled: Switch = True
    path: HostPath | None = None
    git: GitUrl | None = None
    rev: GitRevision | None = None
    wheel: WheelPath | None = None
    npm: NpmPackage | None = None
    checks: OwnChecks = ()
    ingest: Switch | None = None

    @classmethod
    def expand(cls, value: object) -> object:
        if isinstance(value, (Mapping, list, tuple)):
            return value
        plain = written(value)
        if isinstance(plain, bool):
            return {"enabled": plain}
        if plain in (_BUNDLED, _WITHOUT):
            return {"enabled": plain == _BUNDLED}
        hint = f"{choose_hint(str(plain), (_BUNDLED, _WITHOUT))}; another one is a mapping with {_one_of(_SOURCES)}"
        raise wrong(f"{describe(value)} is no framework", hint)

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [{"enum": [_BUNDLED, _WITHOUT]}, {"type": "boolean"}]

    @property
    def source(self) -> str | None:
        """The key that names where another framework comes from; None is the bundled one, or none at all."""
        return next((name for name in _SOURCES if getattr(self, name) is not None), None)

    @property
    def bundled(self) -> bool:
        return self.enabled and self.source is None

    @model_validator(mode="after")
    def _fits_together(self) -> Framework:
        named = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(named) > 1:
            raise wrong(f"{' and '.join(named)} exclude each other", "a framework comes from one place")
        if (self.git is None) != (self.rev is None):
            raise wrong("`git` and `rev` belong together", "write {git: ADDRESS, rev: v1.2.0}")
        if self.ingest is not None and (named or not self.enabled):
            raise wrong("`ingest` is a service of the bundled framework, which is not installed", "leave it out")
        if not self.enabled and (named or self.checks):
            raise wrong("no framework is installed, so it has neither source nor checks", "leave `enabled` out")
        return self


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
