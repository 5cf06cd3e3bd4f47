"""The bill of materials of an image, before it takes a form: what it is, what it stands in for, what is in it.

Owns nothing that an image does not say by itself, its labels or the labels of the container that was made from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.canonical import content_id
from builder.core.contents import find_distribution, read_contents
from builder.core.labels import LABEL_PREFIX, LABEL_REQUESTED_BASE, LABEL_SUBSTITUTIONS
from builder.core.packages import Package, find_loose_files, find_packages
from builder.model import ImageFile, Substitution

if TYPE_CHECKING:
    from builder.views import ImageView

# Labels of a container that say what was asked for; its others are about the container itself.
ASKED = (LABEL_REQUESTED_BASE, LABEL_SUBSTITUTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    id: str  # hash of all that decides the rest: neither clock nor chance is in it
    image: str  # devbox/workstation:870f3cf93eb1
    image_id: str  # sha256:...
    created: str  # of the image, RFC 3339
    distribution: str  # debian 12
    facts: Mapping[str, str]  # labels dev.devbox.* -> value
    substitutions: tuple[Substitution, ...]
    packages: tuple[Package, ...]
    files: tuple[ImageFile, ...]  # that came with no package
    tool: str  # the version of devbox that wrote it


def make_bill(
    image: ImageView, reference: str, asked: Mapping[str, str], found: Iterable[ImageFile], *, tool: str
) -> Bill:
    """`asked` are the labels of the container that the image was made for, if there is one."""
    contents = read_contents(found)
    packages = find_packages(contents)
    labels = {**image.labels, **{key: asked[key] for key in ASKED if key in asked}}
    facts = {key: value for key, value in sorted(labels.items()) if key.startswith(LABEL_PREFIX)}
    instead = tuple(Substitution(**item) for item in json.loads(facts.pop(LABEL_SUBSTITUTIONS, "[]")))
    return Bill(
        id=content_id([image.id, facts, instead, tool]),
        image=reference,
        image_id=image.id,
        created=image.created,
        distribution=" ".join(find_distribution(contents)).strip(),
        facts=facts,
        substitutions=instead,
        packages=packages,
        files=find_loose_files(contents, packages),
        tool=tool,
    )
