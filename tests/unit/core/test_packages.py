"""What packages an image has, whose its files are, and what dpkg's files mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.contents import NODE_VERSION, find_wanted, read_contents
from builder.core.dpkg import parse_licences, parse_status, resolve_needs
from builder.core.packages import find_loose_files, find_packages
from builder.model import ImageFile
from tests.unit.core.image_files import LEFT, STATUS, TEXTS, make_contents

PACKAGES = {package.name: package for package in find_packages(make_contents())}
SITE = "opt/tool/lib/python3.11/site-packages"


def test_every_kind_of_package_is_found_under_its_package_url() -> None:
    assert {package.purl for package in PACKAGES.values()} == {
        "pkg:deb/debian/base-files@12.4%2Bdeb12u12?arch=amd64&distro=debian-12",
        "pkg:deb/debian/foo@1:2.0-1?arch=all&distro=debian-12",
        "pkg:deb/debian/libfoo1@1:2.0-1%2Bb1?arch=amd64&distro=debian-12&upstream=foo%401:2.0-1",
        "pkg:generic/node@18.18.2",
        "pkg:npm/%40scope/right@2.0.0-rc.1",
        "pkg:npm/left@1.0.0",
        "pkg:pypi/foo-bar@1.2",
        "pkg:pypi/old@0.1",
        "pkg:pypi/single@3",
    }


def test_a_package_in_two_places_is_one_with_both() -> None:
    assert PACKAGES["left"].places == (LEFT, f"{LEFT}/node_modules/@scope/right/node_modules/left")


def test_licences_come_from_what_each_kind_of_package_says() -> None:
    assert {name: package.licences for name, package in PACKAGES.items()} == {
        "base-files": (),  # in prose: nothing that could be told without guessing
        "libfoo1": ("(GPL-2.0-or-later OR Artistic) AND MIT", "MIT"),
        "foo": ("(GPL-2.0-or-later OR Artistic) AND MIT", "MIT"),  # its folder is a link to the library's
        "left": ("MIT",),
        "@scope/right": ("ISC", "Own"),
        "Foo_Bar": ("MIT OR Apache-2.0",),
        "old": ("BSD License",),
        "single": (),
        "node": (),
    }


def test_people_and_pages_are_taken_where_they_are_real() -> None:
    assert PACKAGES["libfoo1"].supplier == "Foo Maintainers <foo@example.org>"
    assert (PACKAGES["left"].supplier, PACKAGES["Foo_Bar"].supplier) == ("A <a@b.c>", "A <a@b.c>, B <b@b.c>")
    assert {package.homepage for package in PACKAGES.values()} == {
        "", "https://example.org/foo", "https://example.org/right", "https://nodejs.org/",
    }  # fmt: skip


def test_a_dependency_is_what_is_there_of_its_alternatives() -> None:
    assert resolve_needs(parse_status(STATUS)) == {
        "base-files": (),
        "libfoo1": ("base-files",),
        "foo": ("base-files", "libfoo1"),
    }
    assert PACKAGES["foo"].needs == tuple(sorted([PACKAGES["base-files"].purl, PACKAGES["libfoo1"].purl]))


def test_a_package_of_which_only_settings_are_left_is_not_there() -> None:
    assert {deb.name for deb in parse_status(STATUS)} == {"base-files", "foo", "libfoo1"}


def test_a_stanza_without_a_status_is_there() -> None:
    (deb,) = parse_status("Package: tzdata\nVersion: 2026a\n")
    assert (deb.name, deb.version, deb.source, deb.source_version) == ("tzdata", "2026a", "tzdata", "2026a")


def test_files_of_no_package_are_those_that_nothing_accounts_for() -> None:
    contents = make_contents()
    loose = {file.path for file in find_loose_files(contents, tuple(PACKAGES.values()))}
    assert loose == {
        "usr/lib/os-release",
        "usr/lib/devbox/init",
        "usr/share/doc/base-files/copyright",
        "usr/share/doc/libfoo1/copyright",
        "var/lib/dpkg/info/format",
        "var/lib/dpkg/status",
        "usr/lib/python3/dist-packages/old.egg-info/PKG-INFO",
        "usr/lib/python3/dist-packages/single-3.egg-info",
    }


@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("expat", "MIT"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic"),
        ("GPL-2+ with Autoconf exception", "GPL-2+ with Autoconf exception"),
        ("public-domain", "public-domain"),
    ],
)
def test_debians_names_of_licences_become_those_of_spdx(line: str, spelled: str) -> None:
    assert parse_licences(f"Format: x\n\nFiles: *\nLicense: {line}\n") == (spelled,)


@pytest.mark.parametrize("path", ["usr/bin/git", f"{LEFT}/index.js", f"{LEFT}/dist/esm/package.json", "package.json"])
def test_bytes_that_say_nothing_of_packages_are_not_kept(path: str) -> None:
    assert find_wanted(path) is False


def test_node_tells_its_version_in_its_program_and_a_debian_package_of_it_is_enough() -> None:
    assert find_wanted("opt/node/bin/node") is NODE_VERSION
    match = NODE_VERSION.search(b"...node.js/v%d...node.js/v22.20.10\0...")
    assert match is not None
    assert match[0] == b"node.js/v22.20.10"
    assert PACKAGES["node"].cpe == "cpe:2.3:a:nodejs:node.js:18.18.2:*:*:*:*:*:*:*"
    packaged = replace(make_contents(), owners={"opt/node/bin/node": "nodejs"})
    assert "pkg:generic/node@18.18.2" not in {package.purl for package in find_packages(packaged)}


@pytest.mark.parametrize("path", [path for path in TEXTS if path.endswith(("package.json", "METADATA", "PKG-INFO"))])
def test_bytes_that_tell_of_packages_are_kept(path: str) -> None:
    assert find_wanted(path) is ("/dist/esm/" not in path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("opt/x/node_modules/x/package.json", '{"name": "/", "version": "1"}'),
        ("opt/x/node_modules/x/package.json", "[" * 100_000),
        ("opt/x-1.dist-info/RECORD", '"' + "x" * 200_000),
    ],
)
def test_what_says_nothing_is_passed_over(path: str, text: str) -> None:
    contents = make_contents()
    odd = replace(contents, texts={**contents.texts, path: text})
    assert {package.name for package in find_packages(odd)} == set(PACKAGES)
    assert find_loose_files(odd, find_packages(odd)) == find_loose_files(contents, find_packages(contents))


def test_a_manifest_without_a_version_claims_none() -> None:
    contents = make_contents()
    manifest = {"opt/x/node_modules/q/package.json": '{"name": "q", "version": null}'}
    odd = replace(contents, texts={**contents.texts, **manifest})
    assert {package.purl for package in find_packages(odd) if package.name == "q"} == {"pkg:npm/q"}


def test_a_file_name_that_is_not_utf_8_can_be_written() -> None:
    (path,) = read_contents([ImageFile(path="opt/b\udcff", sha256="0")]).files
    assert path == "opt/b\\xff"
