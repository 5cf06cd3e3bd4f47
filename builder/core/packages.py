"""The packages of an image, of every kind, from what `core.contents` read: Debian's, npm's and Python's.

A package that lies in several places in the same version is one, with all its places. Owns names, versions, licences
and package URLs (https://github.com/package-url/purl-spec); must not know how they are written down.
"""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Final

from packageurl import PackageURL

from builder.core.contents import NODE, NPM_MANIFEST, PYTHON_MANIFEST, Contents, find_distribution, read_text
from builder.core.dpkg import DebPackage, parse_licences, resolve_needs

if TYPE_CHECKING:
    from builder.model import ImageFile

CLASSIFIER: Final = re.compile(r"License :: (?:OSI Approved :: )?(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    kind: str  # deb | npm | pypi | generic
    name: str
    version: str
    purl: str
    licences: tuple[str, ...] = ()  # expressions of SPDX or other names; all of them hold
    supplier: str = ""  # a person or group, perhaps with an address
    homepage: str = ""
    cpe: str = ""  # what advisories call it, where no package URL does
    source: str = ""  # "glibc 2.36-9+deb12u10": of a Debian package, the source package
    places: tuple[str, ...] = ()  # files or folders that show that it is there
    needs: tuple[str, ...] = ()  # purls


def find_packages(contents: Contents) -> tuple[Package, ...]:
    """All of them, by package URL."""
    found: dict[str, Package] = {}
    for package in (*find_debs(contents), *find_npm(contents), *find_python(contents), *find_node(contents)):
        known = found.get(package.purl)
        found[package.purl] = _merge(known, package) if known else package
    return tuple(found[purl] for purl in sorted(found))


def _merge(one: Package, other: Package) -> Package:
    """A copy may have left out what another says."""
    return replace(
        one,
        licences=one.licences or other.licences,
        supplier=one.supplier or other.supplier,
        homepage=one.homepage or other.homepage,
        places=tuple(sorted({*one.places, *other.places})),
    )


def _address(written: object) -> str:
    """What a package calls its page, if it is the address of one: both schemas refuse anything else."""
    return written if isinstance(written, str) and re.fullmatch(r"https?://[\w.-]+[!-~]*", written) else ""


# ------------------------------------------------------------------------------------------------------- Debian


def find_debs(contents: Contents) -> Iterator[Package]:
    distribution, release = find_distribution(contents)
    purls = {deb.name: _deb_purl(deb, distribution, release) for deb in contents.debs}
    needs = resolve_needs(contents.debs)
    for deb in contents.debs:
        yield Package(
            kind="deb",
            name=deb.name,
            version=deb.version,
            purl=_deb_purl(deb, distribution, release),
            licences=parse_licences(read_text(contents, f"usr/share/doc/{deb.name}/copyright")),
            supplier=deb.maintainer,
            homepage=_address(deb.homepage),
            source=f"{deb.source} {deb.source_version}",
            needs=tuple(sorted(purls[name] for name in needs[deb.name])),
        )


def _deb_purl(deb: DebPackage, distribution: str, release: str) -> str:
    """`upstream` is how scanners find the advisories, which Debian writes for source packages."""
    qualifiers = {"arch": deb.arch, "distro": f"{distribution}-{release}" if release else distribution}
    if deb.source_version != deb.version:
        qualifiers["upstream"] = f"{deb.source}@{deb.source_version}"
    elif deb.source != deb.name:
        qualifiers["upstream"] = deb.source
    return PackageURL("deb", distribution, deb.name, deb.version, qualifiers).to_string()


# ---------------------------------------------------------------------------------------------------------- npm


def find_npm(contents: Contents) -> Iterator[Package]:
    """Every folder of a package below a `node_modules`, also nested and scoped."""
    for path, text in contents.texts.items():
        named = NPM_MANIFEST.fullmatch(path)
        manifest = _read_json(text) if named else {}
        if not named or not manifest:
            continue
        name = str(manifest.get("name") or named[1]).strip("/")
        version = str(manifest.get("version") or "")
        scope, _, plain = name.rpartition("/")
        if not plain:
            continue
        yield Package(
            kind="npm",
            name=name,
            version=version,
            purl=PackageURL("npm", scope or None, plain, version or None).to_string(),
            licences=tuple(_npm_licences(manifest)),
            supplier=_npm_person(manifest.get("author")),
            homepage=_address(manifest.get("homepage")),
            places=(posixpath.dirname(path),),
        )


def _read_json(text: str) -> Mapping[str, object]:
    """Some packages ship broken manifests as test data: they say nothing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _npm_licences(manifest: Mapping[str, object]) -> Iterator[str]:
    """`license: MIT`, and the older forms `{type: MIT}` and `licenses: [{type: MIT}]`."""
    told = manifest.get("license") or manifest.get("licenses") or ()
    for item in told if isinstance(told, list | tuple) else (told,):
        name = item.get("type") if isinstance(item, dict) else item
        if isinstance(name, str) and name:
            yield name


def _npm_person(person: object) -> str:
    """`Name <address> (page)`, or the same as a mapping."""
    if isinstance(person, dict):
        address = f" <{person['email']}>" if person.get("email") else ""
        return f"{person.get('name', '')}{address}".strip()
    return re.sub(r"\s*\(.*\)$", "", person) if isinstance(person, str) else ""


# ------------------------------------------------------------------------------------------------------- Python


def find_python(contents: Contents) -> Iterator[Package]:
    """Every distribution with metadata, in whatever environment."""
    for path, text in contents.texts.items():
        if not PYTHON_MANIFEST.fullmatch(path):
            continue
        told = HeaderParser().parsestr(text)
        if not told["Name"] or not told["Version"]:
            continue
        name, version = str(told["Name"]).strip(), str(told["Version"]).strip()
        yield Package(
            kind="pypi",
            name=name,
            version=version,
            purl=PackageURL("pypi", None, name, version).to_string(),
            licences=_python_licences(told),
            supplier=str(told["Author-email"] or told["Author"] or ""),
            homepage=_address(told["Home-page"]),
            places=(re.sub(r"/(METADATA|PKG-INFO)$", "", path),),
        )


def _python_licences(told: Message) -> tuple[str, ...]:
    """An expression (PEP 639) counts most; `License` may hold a whole text, which is no name."""
    if told["License-Expression"]:
        return (str(told["License-Expression"]),)
    named = str(told["License"] or "").strip()
    if named and named != "UNKNOWN" and "\n" not in named:
        return (named,)
    classifiers = (CLASSIFIER.fullmatch(str(item)) for item in told.get_all("Classifier", []))
    return tuple(sorted({found[1] for found in classifiers if found}))


# ----------------------------------------------------------------------------------------------------- programs


def find_node(contents: Contents) -> Iterator[Package]:
    """Node.js where it came with no package: a program that tells its version, and nothing else does."""
    for path, text in contents.texts.items():
        if NODE.fullmatch(path) and contents.owner_of(path) is None:
            version = text.rpartition("v")[2]
            yield Package(
                kind="generic",
                name="node",
                version=version,
                purl=PackageURL("generic", None, "node", version).to_string(),
                cpe=f"cpe:2.3:a:nodejs:node.js:{version}:*:*:*:*:*:*:*",
                homepage="https://nodejs.org/",
                places=(path,),
            )


# ------------------------------------------------------------------------------------------------- loose files


def find_loose_files(contents: Contents, packages: Iterable[Package]) -> tuple[ImageFile, ...]:
    """Files that came with no package. What a package's own scripts leave behind counts as its: bytecode of its
    sources, and what dpkg keeps about it."""
    places = {place for package in packages if package.kind in ("npm", "generic") for place in package.places}
    recorded = set(_recorded(contents))
    debs = {deb.name for deb in contents.debs}

    def is_owned(path: str) -> bool:
        source = re.sub(r"__pycache__/([^/]+)\.cpython-[^/]+\.pyc$", r"\1.py", path)
        record = re.fullmatch(r"var/lib/dpkg/info/([^:]+?)(:\w+)?\.[a-z0-9]+", path)
        return (
            contents.owner_of(source) is not None
            or not recorded.isdisjoint((path, source))
            or (record is not None and record[1] in debs)
            or any(place in places for place in (path, *_parents(path)))
        )

    return tuple(file for path, file in contents.files.items() if not is_owned(path))


def _recorded(contents: Contents) -> Iterator[str]:
    """What the RECORD of each Python distribution names (PEP 376): paths relative to the folder that it lies in."""
    for path, text in contents.texts.items():
        if path.endswith(".dist-info/RECORD"):
            folder = posixpath.dirname(posixpath.dirname(path))
            for row in _rows(text):
                if row:
                    yield posixpath.normpath(posixpath.join("/", folder, row[0])).lstrip("/")


def _rows(text: str) -> list[list[str]]:
    """None of a RECORD that is none."""
    try:
        return list(csv.reader(text.splitlines()))
    except csv.Error:
        return []


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
