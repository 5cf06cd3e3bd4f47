"""A bill of materials as SPDX 2.3, which licence tools read: https://spdx.github.io/spdx-spec/v2.3/.

Owns the translation of our nouns into the library's, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import getaddresses
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Final
from uuid import UUID

from license_expression import ExpressionError, LicenseExpression
from spdx_tools.common.spdx_licensing import spdx_licensing
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Annotation,
    AnnotationType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    ExtractedLicensingInfo,
    File,
    PackagePurpose,
    PackageVerificationCode,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.model import Package as SpdxPackage
from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

from builder.adapters.sbom import parse_time

if TYPE_CHECKING:
    from builder.core.bill import Bill
    from builder.core.packages import Package
    from builder.model import ImageFile

DOCUMENT: Final = "SPDXRef-DOCUMENT"
IMAGE: Final = "SPDXRef-Image"
LOOSE: Final = "SPDXRef-Files"  # a package of its own: the image's would have to name every file of every package
NOTHING: Final = SpdxNoAssertion()


def render_spdx(bill: Bill) -> str:
    sink = StringIO()
    # The library's validation of what it writes takes longer than all the rest; the tests do it.
    write_document_to_stream(make_document(bill), sink, validate=False, drop_duplicates=False)
    return sink.getvalue() + "\n"


def make_document(bill: Bill) -> Document:
    created = parse_time(bill.created)
    tool = Actor(ActorType.TOOL, f"devbox-{bill.tool}")
    names = sorted({name for package in bill.packages for name in package.licences})
    return Document(
        creation_info=CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=DOCUMENT,
            name=bill.image,
            document_namespace=UUID(bill.id[:32], version=5).urn,
            creators=[tool],
            created=created,
            document_comment="\n".join(_comment_lines(bill)),
        ),
        packages=[_make_image(bill), _make_loose(bill.files), *(_make_package(package) for package in bill.packages)],
        files=[_make_file(file) for file in bill.files],
        annotations=list(_make_annotations(bill, tool, created)),
        relationships=list(_make_relationships(bill)),
        extracted_licensing_info=[_make_reference(name) for name in names if parse_licence(name) is None],
    )


def _comment_lines(bill: Bill) -> Iterator[str]:
    yield f"Read from the image {bill.image_id} ({bill.distribution}). The time of creation is the image's."
    yield from (f"Substitution: {item}" for item in bill.substitutions)


def _make_annotations(bill: Bill, tool: Actor, created: datetime) -> Iterator[Annotation]:
    """What the labels of the image say, and what stands in for something else."""
    said = [f"{name}: {value}" for name, value in bill.facts.items()]
    instead = [f"dev.devbox.substitution: {item}" for item in bill.substitutions]
    for line in (*said, *instead):
        yield Annotation(IMAGE, AnnotationType.OTHER, tool, created, line)


# ----------------------------------------------------------------------------------------------------- elements


def _make_image(bill: Bill) -> SpdxPackage:
    return SpdxPackage(
        spdx_id=IMAGE,
        name=bill.image,
        version=bill.image_id,
        download_location=NOTHING,
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, bill.image_id.rpartition(":")[2])],
        primary_package_purpose=PackagePurpose.CONTAINER,
    )


def _make_loose(files: tuple[ImageFile, ...]) -> SpdxPackage:
    """The code is SPDX's own, over the sums of all files (section 7.9 of the specification)."""
    sums = "".join(sorted(file.sha1 for file in files))
    return SpdxPackage(
        spdx_id=LOOSE,
        name="files of no package",
        download_location=NOTHING,
        verification_code=PackageVerificationCode(hashlib.sha1(sums.encode(), usedforsecurity=False).hexdigest()),
        license_concluded=NOTHING,
        license_info_from_files=[NOTHING],
        license_declared=NOTHING,
        copyright_text=NOTHING,
    )


def _make_package(package: Package) -> SpdxPackage:
    is_deb, person = package.kind == "deb", _find_person(package)
    return SpdxPackage(
        spdx_id=package_id(package.purl),
        name=package.name,
        version=package.version or None,
        download_location=NOTHING,
        files_analyzed=False,
        supplier=person if is_deb else None,
        originator=None if is_deb else person,
        homepage=package.homepage or None,
        source_info=_tell_source(package),
        license_concluded=NOTHING,
        license_declared=_join_licences(package.licences),
        copyright_text=NOTHING,
        external_references=list(_make_references(package)),
        primary_package_purpose=PackagePurpose.APPLICATION if package.kind == "generic" else PackagePurpose.LIBRARY,
    )


def _make_references(package: Package) -> Iterator[ExternalPackageRef]:
    yield ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", package.purl)
    if package.cpe:
        yield ExternalPackageRef(ExternalPackageRefCategory.SECURITY, "cpe23Type", package.cpe)


def _find_person(package: Package) -> Actor | None:
    for name, address in getaddresses([package.supplier]):
        if name or address:
            kind = ActorType.ORGANIZATION if package.kind == "deb" else ActorType.PERSON
            return Actor(kind, name or address, address if "@" in address else None)
    return None


def _tell_source(package: Package) -> str:
    if package.source:
        return f"built from the source package {package.source}"
    return f"found in {', '.join(f'/{place}' for place in package.places)}"


def _make_file(file: ImageFile) -> File:
    sums = [Checksum(ChecksumAlgorithm.SHA1, file.sha1), Checksum(ChecksumAlgorithm.SHA256, file.sha256)]
    return File(name=f"./{file.path}", spdx_id=file_id(file.path), checksums=sums)


def _make_relationships(bill: Bill) -> Iterator[Relationship]:
    yield Relationship(DOCUMENT, RelationshipType.DESCRIBES, IMAGE)
    for inside in (LOOSE, *(package_id(item.purl) for item in bill.packages)):
        yield Relationship(IMAGE, RelationshipType.CONTAINS, inside)
    for file in bill.files:
        yield Relationship(LOOSE, RelationshipType.CONTAINS, file_id(file.path))
    for package in bill.packages:
        for purl in package.needs:
            yield Relationship(package_id(package.purl), RelationshipType.DEPENDS_ON, package_id(purl))


def package_id(purl: str) -> str:
    """Ids may hold letters, digits, dots and dashes; the hash keeps two that differ in other signs apart."""
    legible = re.sub(r"[^A-Za-z0-9.]+", "-", purl.removeprefix("pkg:").partition("?")[0])
    return f"SPDXRef-{legible}-{hashlib.sha256(purl.encode()).hexdigest()[:8]}"


def file_id(path: str) -> str:
    return f"SPDXRef-File-{hashlib.sha256(path.encode()).hexdigest()[:20]}"


# ----------------------------------------------------------------------------------------------------- licences


@cache
def parse_licence(name: str) -> LicenseExpression | None:
    """`name` as an expression over SPDX's list; None for any other name, which becomes a reference of our own."""
    try:
        found = spdx_licensing.parse(name, validate=True, strict=True)
    except (ExpressionError, TypeError):
        return None
    return None if found is None or "LicenseRef" in str(found) else found


def _join_licences(names: tuple[str, ...]) -> LicenseExpression | SpdxNoAssertion:
    """All of them hold: different files of a package have different ones."""
    found = [_name_licence(name) for name in names]
    return spdx_licensing.AND(*found) if len(found) > 1 else found[0] if found else NOTHING


def _name_licence(name: str) -> LicenseExpression:
    known = parse_licence(name)
    return spdx_licensing.parse(_reference_id(name)) if known is None else known


def _make_reference(name: str) -> ExtractedLicensingInfo:
    return ExtractedLicensingInfo(
        license_id=_reference_id(name),
        license_name=name,
        extracted_text=name,
        comment="This is how packages name it. The text lies in the image, mostly in their /usr/share/doc.",
    )


def _reference_id(name: str) -> str:
    legible = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[:40]
    return f"LicenseRef-{legible}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
