"""npm's closures: what npm's own lock says of a package and all that it needs, and that lock again.

Owns the form of package-lock.json, version 3. What it says of a registry's addresses is left out: which one is asked is
decided by each machine. Must not know how npm is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from builder.errors import LockError

MODULES: Final = "node_modules/"
# Besides name, version and integrity: what npm looks at when it installs from a lock. The rest (licences, funding) is
# read from the packages themselves.
NEEDED: Final = (
    "bin", "bundleDependencies", "cpu", "dependencies", "engines", "hasInstallScript", "hasShrinkwrap", "inBundle",
    "libc", "optional", "optionalDependencies", "os", "peer", "peerDependencies", "peerDependenciesMeta",
)  # fmt: skip
_EDGES: Final = ("dependencies", "optionalDependencies", "peerDependencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """One package of a closure. `path` is its folder, as npm lays it out: `node_modules/a/node_modules/b`."""

    name: str
    version: str
    integrity: str  # empty only for one that comes inside another
    path: str
    needs: Mapping[str, object] = field(default_factory=dict)  # of `NEEDED`, as npm writes them


def parse_package_lock(text: str, *, package: str) -> tuple[NpmPackage, ...]:
    """The closure of `package` (name@version), by path. Raises LockError for what cannot be held to a hash."""
    try:
        entries = json.loads(text)["packages"]
    except (ValueError, KeyError, TypeError) as error:
        raise LockError(
            "npm wrote a lock that cannot be read", where=package, hint="`devbox lock --update` asks again"
        ) from error
    elsewhere = _find_elsewhere(entries)
    found = tuple(_read(path, entry, package, elsewhere) for path, entry in sorted(entries.items()) if path)
    if all(item.path != f"{MODULES}{name_of(package)}" for item in found):
        raise LockError("npm wrote a lock without the package itself", where=package, hint="is its name right?")
    return found


def name_of(package: str) -> str:
    """@scope/name@1.2.3 -> @scope/name."""
    return package.rpartition("@")[0]


def _find_elsewhere(entries: Mapping[str, Mapping[str, Mapping[str, str]]]) -> frozenset[str]:
    """Addresses that packages name as dependencies, in place of a version of a registry."""
    asked = (asked for entry in entries.values() for kind in _EDGES for asked in entry.get(kind, {}).values())
    return frozenset(word for word in asked if ":" in word and not word.startswith("npm:"))


def _read(path: str, entry: Mapping[str, object], package: str, elsewhere: frozenset[str]) -> NpmPackage:
    name = str(entry.get("name") or path.rpartition(MODULES)[2])
    resolved, integrity = str(entry.get("resolved", "")), str(entry.get("integrity", ""))
    if entry.get("link") or resolved.startswith(("git", "file:")) or resolved in elsewhere:
        raise LockError(
            f"{name} is no package of a registry, so nothing says what it has to be",
            where=package,
            hint=f"{package} names an address among what it needs; take another version, or leave it out",
        )
    if not integrity and not entry.get("inBundle"):
        raise LockError(
            f"the registry tells no integrity of {name} {entry.get('version', '')}",
            where=package,
            hint="a registry that mirrors another one has it; look at `mirrors.npm` and npm's settings",
        )
    needs = {key: entry[key] for key in NEEDED if key in entry}
    return NpmPackage(name=name, version=str(entry.get("version", "")), integrity=integrity, path=path, needs=needs)


def check_pinned(packages: Sequence[NpmPackage], package: str, integrity: str, *, origin: str) -> None:
    """Hold the package itself to what the catalogue pins. Raises LockError."""
    there = next((item.integrity for item in packages if item.path == f"{MODULES}{name_of(package)}"), "none")
    if there != integrity:
        raise LockError(
            f"npm offers another {package} than the catalogue pins: {there}, not {integrity}",
            where=origin,
            hint="its registry gives out something else than was pinned: look at proxy and mirror",
        )


def render_package_lock(package: str, packages: Sequence[NpmPackage]) -> str:
    """What `npm ci` installs from: without addresses, so that npm asks the registry of this machine's settings."""
    entries: dict[str, object] = {"": _root(package)}
    for item in sorted(packages, key=lambda item: item.path):
        entries[item.path] = dict(_entry(item))
    lock = {"lockfileVersion": 3, "name": "devbox", "packages": entries, "requires": True}
    return json.dumps(lock, indent=2, ensure_ascii=False) + "\n"


def render_package_json(package: str) -> str:
    return json.dumps({"name": "devbox", "private": True, **_root(package)}, indent=2, ensure_ascii=False) + "\n"


def _root(package: str) -> dict[str, object]:
    name, _, version = package.rpartition("@")
    return {"dependencies": {name: version}}


def _entry(item: NpmPackage) -> Iterator[tuple[str, object]]:
    if item.name != item.path.rpartition(MODULES)[2]:  # installed by another name than its own
        yield "name", item.name
    yield "version", item.version
    if item.integrity:
        yield "integrity", item.integrity
    yield from sorted(item.needs.items())


def render_npm_closure(package: str, packages: Sequence[NpmPackage]) -> Mapping[str, str]:
    """The files that hold npm to a closure, by name."""
    return {"package.json": render_package_json(package), "package-lock.json": render_package_lock(package, packages)}
