"""Both forms of a bill of materials: valid by their makers' validators, complete, and the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from builder.adapters.sbom import BillFormat, parse_time, render_bill
from builder.adapters.sbom.cyclonedx import _split_reference
from builder.core.bill import Bill, make_bill
from builder.core.packages import Package
from tests.unit.core.image_files import ASKED, IMAGE, TEXTS, make_files

SUBSTITUTION = "base: debian-12 in place of ubuntu-22.04 (it cannot be pulled)"
FORMATS = pytest.mark.parametrize("form", BillFormat, ids=lambda form: form.value)


def bill(texts: dict[str, str] | None = None) -> Bill:
    return make_bill(IMAGE, IMAGE.tags[0], ASKED, make_files(texts or TEXTS), tool="0.1.0")


def read(form: BillFormat) -> dict[str, Any]:
    found = json.loads(render_bill(bill(), form))
    assert isinstance(found, dict)
    return found


def test_cyclonedx_is_valid() -> None:
    text = render_bill(bill(), BillFormat.CYCLONEDX)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_spdx_is_valid(tmp_path: Path) -> None:
    (tmp_path / "image.spdx.json").write_text(render_bill(bill(), BillFormat.SPDX))
    document = parse_file(str(tmp_path / "image.spdx.json"))
    assert [message.validation_message for message in validate_full_spdx_document(document)] == []


@FORMATS
def test_the_same_image_is_the_same_bytes(form: BillFormat) -> None:
    assert render_bill(bill(), form) == render_bill(bill(dict(reversed(list(TEXTS.items())))), form)


@FORMATS
def test_another_image_has_another_serial_number(form: BillFormat) -> None:
    other = make_bill(IMAGE, IMAGE.tags[0], {}, make_files(), tool="0.1.0")
    key = "serialNumber" if form is BillFormat.CYCLONEDX else "documentNamespace"
    assert json.loads(render_bill(other, form))[key] != read(form)[key]


def test_cyclonedx_says_what_the_image_is_and_stands_in_for() -> None:
    metadata = read(BillFormat.CYCLONEDX)["metadata"]
    told = {item["name"]: item["value"] for item in metadata["properties"]}
    assert metadata["timestamp"] == "2026-11-25T15:56:32+00:00"
    assert metadata["component"]["name"] == "devbox/workstation"
    assert told == {
        "dev.devbox.base": "debian-12",
        "dev.devbox.distribution": "debian 12",
        "dev.devbox.plan": "870f",
        "dev.devbox.requested-base": "ubuntu-22.04",
        "dev.devbox.steps": '{"base":["b51b","debian-12"]}',
        "dev.devbox.substitution:base": SUBSTITUTION,
    }


def test_spdx_says_what_the_image_is_and_stands_in_for() -> None:
    document = read(BillFormat.SPDX)
    (image,) = (package for package in document["packages"] if package["SPDXID"] == "SPDXRef-Image")
    told = [item["comment"] for item in image["annotations"]]
    assert document["creationInfo"]["created"] == "2026-11-25T15:56:32Z"
    assert f"Substitution: {SUBSTITUTION}" in document["comment"].splitlines()
    assert {"dev.devbox.plan: 870f", f"dev.devbox.substitution: {SUBSTITUTION}"} <= set(told)


def test_both_forms_name_the_same_packages_and_files() -> None:
    cyclonedx, spdx = read(BillFormat.CYCLONEDX)["components"], read(BillFormat.SPDX)
    purls = {item["purl"] for item in cyclonedx if "purl" in item}
    files = {(item["name"], item["hashes"][0]["content"]) for item in cyclonedx if item["type"] == "file"}
    assert purls == {package.purl for package in bill().packages}
    assert purls == {
        ref["referenceLocator"]
        for item in spdx["packages"]
        for ref in item.get("externalRefs", ())
        if ref["referenceType"] == "purl"
    }
    assert files == {
        (item["fileName"].removeprefix("."), sums["checksumValue"])
        for item in spdx["files"]
        for sums in item["checksums"]
        if sums["algorithm"] == "SHA256"
    }


def test_a_licence_of_no_list_keeps_its_name() -> None:
    (right,) = (item for item in read(BillFormat.CYCLONEDX)["components"] if item["name"] == "right")
    assert [item["license"].get("id") or item["license"]["name"] for item in right["licenses"]] == ["ISC", "Own"]
    spdx = read(BillFormat.SPDX)
    (right,) = (item for item in spdx["packages"] if item["name"] == "@scope/right")
    (own,) = (item for item in spdx["hasExtractedLicensingInfos"] if item["name"] == "Own")
    assert right["licenseDeclared"] == f"ISC AND {own['licenseId']}"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": ""},
        {"licences": ("SEE LICENSE IN README.md", "MIT OR", "(MIT", "\u00e4", "LicenseRef-x", "MIT AND Own", "NONE")},
        {"supplier": "<nobody>"},
        {"supplier": "A, B <b@c.d>; \u00c4"},
        {"name": "\u00fcber", "purl": "pkg:npm/%C3%BCber@1"},
    ],
    ids=["version", "licences", "address", "people", "name"],
)
def test_what_packages_write_about_themselves_cannot_make_it_invalid(tmp_path: Path, changes: dict[str, Any]) -> None:
    values = {"kind": "npm", "name": "odd", "version": "1", "purl": "pkg:npm/odd@1", "places": ("opt/a b",), **changes}
    odd = make_bill(IMAGE, IMAGE.tags[0], {}, (), tool="0.1.0")
    odd = Bill(**{**{name: getattr(odd, name) for name in odd.__slots__}, "packages": (Package(**values),)})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(render_bill(odd, BillFormat.CYCLONEDX)) is None
    (tmp_path / "odd.spdx.json").write_text(render_bill(odd, BillFormat.SPDX))
    assert validate_full_spdx_document(parse_file(str(tmp_path / "odd.spdx.json"))) == []


def test_a_time_that_no_engine_knows_is_the_epoch() -> None:
    assert parse_time("").isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("devbox/workstation:870f3cf93eb1", ("devbox/workstation", "870f3cf93eb1")),
        ("localhost:5000/foo:1", ("localhost:5000/foo", "1")),
        ("localhost:5000/foo", ("localhost:5000/foo", "")),
        ("debian:12@sha256:00ff", ("debian", "12")),
        ("sha256:00ff", ("sha256:00ff", "")),
    ],
)
def test_a_reference_is_a_name_and_a_tag(reference: str, parts: tuple[str, str]) -> None:
    assert _split_reference(reference) == parts
