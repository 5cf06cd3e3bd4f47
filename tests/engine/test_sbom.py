"""The bill of materials of the real image: as its own dpkg, npm and Pythons list it, valid, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from builder.adapters.engine.client import Engine
from builder.core.labels import LABEL_EXPORT
from builder.model import Substitution
from tests.engine.conftest import Workstation

LIST_DEBS = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\\n"]
NODE_MODULES = "find / -xdev -type d -name node_modules -prune 2>/dev/null || true"
PYTHONS = "find / -xdev -path '*/bin/python3' 2>/dev/null || true"
LIST_DISTRIBUTIONS = (
    "import importlib.metadata as m\n"
    "for d in m.distributions(): print(d.metadata['Name'], d.version, d.locate_file('').resolve())"
)


@pytest.fixture(scope="module")
def cyclonedx(shared: Workstation) -> str:
    return shared.ok("sbom")


@pytest.fixture(scope="module")
def spdx(shared: Workstation) -> Path:
    path = shared.folder / "image.spdx.json"
    assert shared.ok("sbom", "--format", "spdx", "--output", str(path)) == f"{path} written\n"
    return path


@pytest.fixture(scope="module")
def components(cyclonedx: str) -> list[dict[str, Any]]:
    found = json.loads(cyclonedx)["components"]
    assert isinstance(found, list)
    return found


def of_kind(components: list[dict[str, Any]], kind: str) -> list[tuple[PackageURL, list[str]]]:
    """Package URLs, each with the places where it was found."""
    return [
        (url, [item["location"] for item in component.get("evidence", {}).get("occurrences", ())])
        for component in components
        if "purl" in component and (url := PackageURL.from_string(component["purl"])).type == kind
    ]


def test_every_debian_package_is_listed_and_no_other(shared: Workstation, components: list[dict[str, Any]]) -> None:
    lines = [line.split() for line in shared.inside(*LIST_DEBS).splitlines()]
    listed = {(url.name, url.version, url.qualifiers["arch"]) for url, _ in of_kind(components, "deb")}
    assert listed == {(name, version, arch) for status, name, version, arch in lines if status == "installed"}
    assert len(listed) > 100


def test_every_npm_package_is_listed_and_no_other(shared: Workstation, components: list[dict[str, Any]]) -> None:
    found: set[tuple[str, str]] = set()
    for folder in shared.inside("sh", "-c", NODE_MODULES).split():
        prefix = folder.removesuffix("/lib/node_modules")
        lines = shared.inside("npm", "ls", "-g", "--all", "--parseable", "--long", "--prefix", prefix).splitlines()
        # An alias is told as `other@npm:name@1.0`: its own name is the last part.
        found |= {(line.partition(":")[0], line.rpartition(":")[2]) for line in lines[1:]}
    listed = of_kind(components, "npm")
    assert found == {
        (place, f"{f'{url.namespace}/' if url.namespace else ''}{url.name}@{url.version}")
        for url, places in listed
        for place in places
    }
    assert len(found) > 100


def test_every_python_distribution_is_listed_and_no_other(
    shared: Workstation, components: list[dict[str, Any]]
) -> None:
    found: set[tuple[str, ...]] = set()
    for python in shared.inside("sh", "-c", PYTHONS).split():
        lines = shared.inside(python, "-I", "-c", LIST_DISTRIBUTIONS).splitlines()
        found |= {tuple(line.split()) for line in lines}
    names = {component["purl"]: component["name"] for component in components if "purl" in component}
    assert found == {
        (names[url.to_string()], url.version, place.rpartition("/")[0])
        for url, places in of_kind(components, "pypi")
        for place in places
    }
    assert len(found) > 3


def test_node_is_listed_in_the_version_that_runs(shared: Workstation, components: list[dict[str, Any]]) -> None:
    ((url, places),) = of_kind(components, "generic")
    (node,) = shared.inside("sh", "-c", "command -v node").split()
    assert (url.name, f"v{url.version}\n", places) == ("node", shared.inside("node", "--version"), [node])


@pytest.mark.engines
def test_files_of_no_package_are_those_of_the_image(shared: Workstation, components: list[dict[str, Any]]) -> None:
    sums = {item["name"]: item["hashes"][0]["content"] for item in components if item["type"] == "file"}
    ours = [path for path in sums if path.startswith("/usr/lib/devbox/")]
    lines = shared.inside("sha256sum", *ours).splitlines()
    assert {path: sums[path] for path in ours} == {line.split()[1]: line.split()[0] for line in lines}
    assert "/usr/lib/devbox/init" in ours


def test_substitutions_are_those_of_the_workstation(shared: Workstation, cyclonedx: str, spdx: Path) -> None:
    instead = shared.status()["substitutions"]
    assert isinstance(instead, list)
    wanted = {str(Substitution(**item)) for item in instead}
    told = json.loads(cyclonedx)["metadata"]["properties"]
    assert {item["value"] for item in told if item["name"].startswith("dev.devbox.substitution:")} == wanted
    lines = json.loads(spdx.read_text())["comment"].splitlines()
    assert {line.removeprefix("Substitution: ") for line in lines if line.startswith("Substitution: ")} == wanted


def test_both_files_are_valid_by_their_makers_validators(cyclonedx: str, spdx: Path) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx) is None
    assert validate_full_spdx_document(parse_file(str(spdx))) == []


@pytest.mark.engines
def test_a_second_time_gives_the_same_bytes_and_leaves_nothing(
    shared: Workstation, engine: Engine, cyclonedx: str
) -> None:
    assert shared.ok("sbom", "--image", str(shared.status()["image"])) == cyclonedx
    with engine.asking("cannot list containers"):
        left = engine._api.containers(all=True, filters={"label": [LABEL_EXPORT]})
    assert left == []
