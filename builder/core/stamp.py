"""The id of a ServiceSpec, which stands among its labels: another one means a new container.

Apart from `service` because a start without a plan (`tasks.again`) holds a recorded spec to it: imports very little.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.core.canonical import content_id, make_plain
from builder.core.labels import LABEL_ENVIRONMENT, LABEL_PLAN, LABEL_REQUESTED_BASE, LABEL_SPEC, LABEL_SUBSTITUTIONS

if TYPE_CHECKING:
    from builder.model import ServiceSpec


def stamp(spec: ServiceSpec) -> ServiceSpec:
    """`spec` with its id among its labels, which says when to make a container anew."""
    told = json.loads(spec.labels[LABEL_SUBSTITUTIONS])
    made_of: dict[str, object] = {
        "spec": spec_content(spec),
        "plan": spec.labels[LABEL_PLAN],
        "requested_base": spec.labels[LABEL_REQUESTED_BASE],
        # Without the reasons of a substitution: another wording of why must not make the container anew.
        "instead": [[item["what"], item["wanted"], item["got"]] for item in told],
    }
    if LABEL_ENVIRONMENT in spec.labels:
        made_of["environment"] = spec.labels[LABEL_ENVIRONMENT]
    return replace(spec, labels={**spec.labels, LABEL_SPEC: content_id(made_of)})


def spec_content(spec: ServiceSpec) -> Mapping[str, object]:
    """What the id of a spec is made of. A setting that came later counts where it is used: else an update of devbox
    would make every container anew."""
    told = make_plain(replace(spec, labels={}))
    assert isinstance(told, dict)  # noqa: S101  # it is a dataclass
    return {key: value for key, value in told.items() if key != "command" or value}
