"""A bill of materials as CycloneDX 1.6, which scanners read: https://cyclonedx.org/docs/1.6/json/.

Owns the translation of our nouns into the library's, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from email.utils import getaddresses
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import License, LicenseAcknowledgement, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builder.adapters.sbom import parse_time
from builder.core.canonical import Plain, canonical_json

if TYPE_CHECKING:
    from builder.core.bill import Bill
    from builder.core.packages import Package
    from builder.model import ImageFile, Substitution

IMAGE: Final = "image"
LICENCES: Final = LicenseFactory()
DECLARED: Final = LicenseAcknowledgement.DECLARED


def render_cyclonedx(bill: Bill) -> str:
    image = _make_image(bill)
    components = {package.purl: _make_package(package) for package in bill.packages}
    files = [_make_file(file) for file in bill.files]
    bom = Bom(
        serial_number=UUID(bill.id[:32], version=5),
        metadata=BomMetaData(
            timestamp=parse_time(bill.created),
            component=image,
            tools=ToolRepository(components=[_make_tool(bill.tool)]),
            properties=_make_properties(bill),
        ),
        components=[*components.values(), *files],
        dependencies=_make_dependencies(image, bill.packages, components),
    )
    return json.dumps(_sort_lists(json.loads(JsonV1Dot6(bom).output_as_string())), indent=2, ensure_ascii=False) + "\n"


def _sort_lists(value: Plain) -> Plain:
    """The library orders what has no bom-ref by where it happens to lie in memory. No list of ours means an order."""
    match value:
        case dict():
            return {key: _sort_lists(item) for key, item in value.items()}
        case list():
            return sorted((_sort_lists(item) for item in value), key=canonical_json)
    return value


def _make_image(bill: Bill) -> Component:
    name, tag = _split_reference(bill.image)
    return Component(
        name=name,
        version=tag or bill.image_id,
        type=ComponentType.CONTAINER,
        bom_ref=IMAGE,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=bill.image_id.rpartition(":")[2])],
    )


def _split_reference(reference: str) -> tuple[str, str]:
    """`host:5000/team/name:tag@sha256:...` -> name with its host, tag; an id of the engine is a name."""
    if reference.startswith("sha256:"):
        return reference, ""
    plain = reference.partition("@")[0]
    host, slash, last = plain.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{host}{slash}{name}", tag


def _make_tool(version: str) -> Component:
    return Component(name="devbox", version=version, type=ComponentType.APPLICATION)


def _make_properties(bill: Bill) -> list[Property]:
    instead = [Property(name=_name_substitution(item), value=str(item)) for item in bill.substitutions]
    facts = [Property(name=name, value=value) for name, value in bill.facts.items()]
    return [*facts, Property(name="dev.devbox.distribution", value=bill.distribution), *instead]


def _name_substitution(item: Substitution) -> str:
    return f"dev.devbox.substitution:{item.what}"


def _make_package(package: Package) -> Component:
    url = PackageURL.from_string(package.purl)
    people = list(_find_people(package.supplier))
    is_deb = package.kind == "deb"
    return Component(
        name=url.name if package.kind == "npm" else package.name,
        group=url.namespace if package.kind == "npm" else None,
        version=package.version or None,
        type=ComponentType.APPLICATION if package.kind == "generic" else ComponentType.LIBRARY,
        bom_ref=package.purl,
        purl=url,
        cpe=package.cpe or None,
        licenses=_make_licences(package.licences),
        supplier=OrganizationalEntity(name=people[0].name, contacts=people) if is_deb and people else None,
        authors=[] if is_deb else people,
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(package.homepage))]
        if package.homepage
        else [],
        properties=[Property(name="dev.devbox.source-package", value=package.source)] if package.source else [],
        evidence=ComponentEvidence(occurrences=[Occurrence(location=f"/{place}") for place in package.places])
        if package.places
        else None,
    )


def _find_people(text: str) -> Iterator[OrganizationalContact]:
    for name, address in getaddresses([text]):
        if name or address:
            yield OrganizationalContact(name=name or address, email=address if "@" in address else None)


def _make_licences(names: tuple[str, ...]) -> list[License]:
    """One may be an expression; of several the schema takes ids and names only."""
    made = [LICENCES.make_from_string(name, license_acknowledgement=DECLARED) for name in names]
    if len(made) == 1:
        return made
    return [
        LICENCES.make_with_name(item.value, acknowledgement=DECLARED) if isinstance(item, LicenseExpression) else item
        for item in made
    ]


def _make_file(file: ImageFile) -> Component:
    return Component(
        name=f"/{file.path}",
        type=ComponentType.FILE,
        bom_ref=f"file:/{file.path}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
    )


def _make_dependencies(
    image: Component, packages: Iterable[Package], components: Mapping[str, Component]
) -> list[Dependency]:
    """The image needs everything that is in it; Debian's packages say what they need themselves."""
    whole = Dependency(ref=image.bom_ref, dependencies=[Dependency(ref=item.bom_ref) for item in components.values()])
    parts = [
        Dependency(
            ref=components[package.purl].bom_ref,
            dependencies=[Dependency(ref=components[purl].bom_ref) for purl in package.needs],
        )
        for package in packages
    ]
    return [whole, *parts]
