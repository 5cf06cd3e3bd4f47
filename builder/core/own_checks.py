"""Checks that a person declares in devbox.yaml, for the workstation and for its framework. Must not run them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from builder.core.catalog import CheckFile
from builder.core.fields import Name  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.problems import shown
from builder.core.validation import wrong
from builder.model import Check


class OwnCheck(CheckFile):
    """A check of one's own, as tools declare theirs, with a name to find it by."""

    name: Name

    @model_validator(mode="after")
    def _checks_something(self) -> OwnCheck:
        if not (self.run or self.file or self.package or self.service):
            raise wrong(f"the check {shown(self.name)} checks nothing", "write `run`, `file`, `package` or `service`")
        if self.version and not (self.run or self.package):
            raise wrong(f"the check {shown(self.name)} has a version of nothing", "write `run` or `package` beside it")
        return self


def _check_own(checks: tuple[OwnCheck, ...]) -> tuple[OwnCheck, ...]:
    for index, item in enumerate(checks):
        if any(item.name == other.name for other in checks[:index]):
            raise wrong(f"the check {shown(item.name)} is there twice", "every check needs a name of its own")
    return checks


OwnChecks = Annotated[tuple[OwnCheck, ...], AfterValidator(_check_own), Field(max_length=200)]


def own_checks(checks: Iterable[OwnCheck]) -> tuple[tuple[str, Check], ...]:
    """The declared checks of devbox.yaml by name, as the catalogue's are."""
    return tuple((item.name, Check(**item.model_dump(exclude={"name"}))) for item in checks)
