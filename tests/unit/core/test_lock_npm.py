"""npm's own lock as part of ours: what is kept of it, what is refused, and that it comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.core.lock_npm import check_pinned, parse_package_lock, render_package_json, render_package_lock
from builder.errors import LockError

PACKAGE = "@team/tool@1.2.3"
TOP: dict[str, Any] = {
    "version": "1.2.3",
    "resolved": "https://registry.example/@team/tool/-/tool-1.2.3.tgz",
    "integrity": "sha512-top",
    "license": "MIT",
    "bin": {"tool": "cli.js"},
    "dependencies": {"ms": "^2.0.0", "other": "npm:ms@1.0.0"},
    "optionalDependencies": {"fast": "1.0.0"},
    "engines": {"node": ">=18"},
}
ENTRIES: dict[str, Any] = {
    "": {"dependencies": {"@team/tool": "1.2.3"}},
    "node_modules/@team/tool": TOP,
    "node_modules/ms": {"version": "2.1.3", "resolved": "https://registry.example/ms.tgz", "integrity": "sha512-ms"},
    "node_modules/other": {"name": "ms", "version": "1.0.0", "integrity": "sha512-old"},
    "node_modules/fast": {
        "version": "1.0.0",
        "integrity": "sha512-f",
        "optional": True,
        "os": ["darwin"],
        "cpu": ["arm64"],
    },
    "node_modules/fast/node_modules/inner": {"version": "1.0.0", "inBundle": True, "optional": True},
}


def lock_of(**changes: Any) -> str:
    entries = {**ENTRIES, **{path: entry for path, entry in changes.items() if entry is not None}}
    return json.dumps({"lockfileVersion": 3, "packages": entries})


def test_the_whole_closure_is_kept_with_name_version_and_integrity() -> None:
    found = parse_package_lock(lock_of(), package=PACKAGE)
    assert [(item.name, item.version, item.integrity) for item in found] == [
        ("@team/tool", "1.2.3", "sha512-top"),
        ("fast", "1.0.0", "sha512-f"),
        ("inner", "1.0.0", ""),
        ("ms", "2.1.3", "sha512-ms"),
        ("ms", "1.0.0", "sha512-old"),
    ]


def test_what_comes_back_is_npms_lock_without_addresses() -> None:
    found = parse_package_lock(lock_of(), package=PACKAGE)
    text = render_package_lock(PACKAGE, found)
    assert "resolved" not in text
    assert "registry.example" not in text
    back = json.loads(text)
    kept = {
        path: {key: value for key, value in entry.items() if key not in ("resolved", "license")}
        for path, entry in ENTRIES.items()
    }
    assert back["packages"] == kept
    assert back["lockfileVersion"] == 3
    assert json.loads(render_package_json(PACKAGE))["dependencies"] == {"@team/tool": "1.2.3"}
    assert parse_package_lock(text, package=PACKAGE) == found


def test_the_rendered_lock_follows_the_integrity_of_each_package_and_no_address() -> None:
    plain = parse_package_lock(lock_of(), package=PACKAGE)
    elsewhere = parse_package_lock(
        lock_of(**{"node_modules/@team/tool": {**TOP, "resolved": "https://else.example/x"}}), package=PACKAGE
    )
    other = parse_package_lock(
        lock_of(**{"node_modules/ms": {"version": "2.1.3", "integrity": "sha512-changed"}}), package=PACKAGE
    )
    assert render_package_lock(PACKAGE, plain) == render_package_lock(PACKAGE, elsewhere)
    assert render_package_lock(PACKAGE, plain) != render_package_lock(PACKAGE, other)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"version": "2.1.3"}, "tells no integrity of ms 2.1.3"),
        ({"version": "2.1.3", "resolved": "git+ssh://git@code.example/ms.git#0123"}, "ms is no package of a registry"),
        ({"link": True, "resolved": "../ms"}, "ms is no package of a registry"),
    ],
)
def test_what_cannot_be_held_to_a_hash_is_refused_by_name(entry: dict[str, object], message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse_package_lock(lock_of(**{"node_modules/ms": entry}), package=PACKAGE)
    assert caught.value.where == PACKAGE


def test_an_archive_that_a_package_takes_from_an_address_is_refused() -> None:
    address = "https://code.example/ms.tgz"
    with pytest.raises(LockError, match="ms is no package of a registry"):
        parse_package_lock(
            lock_of(
                **{
                    "node_modules/@team/tool": {**TOP, "dependencies": {"ms": address}},
                    "node_modules/ms": {"version": "2.1.3", "resolved": address, "integrity": "sha512-ms"},
                }
            ),
            package=PACKAGE,
        )


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_lock_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(LockError, match="npm wrote a lock"):
        parse_package_lock(text, package=PACKAGE)


def test_another_integrity_than_the_catalogue_pins_names_the_package() -> None:
    found = parse_package_lock(lock_of(), package=PACKAGE)
    check_pinned(found, PACKAGE, "sha512-top", origin="images/tools/tool.yaml")
    with pytest.raises(LockError, match=r"offers another @team/tool@1\.2\.3 than the catalogue pins: sha512-top"):
        check_pinned(found, PACKAGE, "sha512-wanted", origin="images/tools/tool.yaml")
