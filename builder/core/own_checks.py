"""Checks that a person declares in devbox.yaml, for the workstation and for its framework. Must not run them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from builder.core.catalog import CheckFile
from builder.core.fields import Name  # noqa: TC001  # pydantic reads annotations at run time
from builder.core.problems import shown
from builder.core.validation import wrong
from builder.model import Check


class OwnCheck(CheckFile):
    """A check of one's own, as tools declare theirs, with a name to find it by."""

    name: Name


def _check_own(checks: tuple[OwnCheck, ...]) -> tuple[OwnCheck, ...]:
    for index, item in enumerate(checks):
        if not (item.run or item.file or item.package or item.service):
            raise wrong(f"the check {shown(item.name)} checks nothing", "write `run`, `file`, `package` or `service`")
        if item.version and not (item.run or item.package):
            raise wrong(f"the check {shown(item.name)} has a version of nothing", "write `run` or `package` beside it")
        if any(item.name == other.name for other in checks[:index]):
            raise wrong(f"the check {shown(item.name)} is there twice", "every check needs a name of its own")
    return checks


OwnChecks = Annotated[tuple[OwnCheck, ...], AfterValidator(_check_own), Field(max_length=200)]


def own_checks(checks: Iterable[OwnCheck]) -> tuple[tuple[str, Check], ...]:
    """The declared checks of devbox.yaml by name, as the catalogue's are."""
    return tuple((item.name, Check(**item.model_dump(exclude={"name"}))) for item in checks)
