"""Group `degraded`: everything that stands in the place of what was asked for is a finding with a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.core.labels import LABEL_SUBSTITUTIONS
from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure, Finding

if TYPE_CHECKING:
    from builder.model import Resolved, Substitution
    from builder.suite.subject import Subject


def make_cases(_: Resolved, substitutions: tuple[Substitution, ...]) -> Iterator[Case]:
    yield told
    for item in substitutions:
        yield _case(item)


def _case(item: Substitution) -> Case:
    def run(subject: Subject) -> None:
        got = f"{item.got} ({item.reason})" if item.reason else item.got
        raise Finding(item.wanted, got, "devbox doctor says which sources cannot be reached")

    return Case(id=f"degraded.{item.what}", title=f"{item.what} is what was asked for", check=run)


@case("degraded.told", "every substitution is told in the container's labels")
def told(subject: Subject) -> None:
    """`devbox status` and other tools read them there; the reasons may be worded anew."""
    label = json.loads(subject.container.labels.get(LABEL_SUBSTITUTIONS, "[]"))
    found = sorted((item["what"], item["got"]) for item in label)
    wanted = sorted((item.what, item.got) for item in subject.substitutions)
    if found != wanted:
        raise CheckFailure(str(wanted), str(found), "docker inspect")
