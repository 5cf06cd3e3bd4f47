"""What is newer than a lock: two locks side by side, that of the workspace and what the world answers now.

Pure; asks nobody. Must not decide what is taken: `lock --update` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.model import EMPTY

if TYPE_CHECKING:
    from builder.core.lock import Lock

Versions = Mapping[tuple[str, str], str]  # (name, what it is part of) -> version, or several


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """Something that an update would take in another version, or that devbox.yaml or the catalogue holds back."""

    kind: str  # base | deb | npm | pypi | git
    name: str  # of the package, base or repository
    of: str  # the tool or step that brings it
    locked: str  # empty for what an update would add
    update: str  # what `lock --update` takes; empty for what it would drop
    newest: str = ""  # of what has its version in devbox.yaml or the catalogue: what the registry has


def find_outdated(lock: Lock, now: Lock, newest: Mapping[str, str] = EMPTY) -> tuple[Outdated, ...]:
    """By kind and name. `now` answers the same question; `newest` maps a tool of npm to the newest version."""
    found = [
        *_compare("base", {(lock.base.name, "base"): lock.base.identity}, {(now.base.name, "base"): now.base.identity}),
        *_compare("deb", _debs(lock), _debs(now)),
        *_compare("npm", _npm(lock), _npm(now), _newest(lock, newest)),
        *_compare("pypi", _python(lock), _python(now)),
        *_compare("git", _commits(lock), _commits(now)),
    ]
    return tuple(found)


def _compare(kind: str, was: Versions, now: Versions, newest: Versions | None = None) -> Iterator[Outdated]:
    held = newest or {}
    for key in sorted(was.keys() | now.keys()):
        locked, update = was.get(key, ""), now.get(key, "")
        if locked != update or held.get(key, locked) != locked:
            name, of = key
            yield Outdated(kind=kind, name=name, of=of, locked=locked, update=update, newest=held.get(key, ""))


def _debs(lock: Lock) -> Versions:
    return _group((package.name, package.step, package.version) for package in lock.apt)


def _npm(lock: Lock) -> Versions:
    return _group((item.name, tool, item.version) for tool, closure in lock.npm.items() for item in closure)


def _python(lock: Lock) -> Versions:
    return _group((item.name, tool, item.version) for tool, closure in lock.python.items() for item in closure)


def _commits(lock: Lock) -> Versions:
    return {(tool, tool): commit for tool, commit in lock.commits.items()}


def _newest(lock: Lock, newest: Mapping[str, str]) -> Versions:
    """By the package that a tool is, not by what that needs."""
    return {
        (package.rpartition("@")[0], tool): newest[tool] for tool, package in lock.wanted.npm.items() if tool in newest
    }


def _group(found: Iterable[tuple[str, str, str]]) -> Versions:
    """Of one package in several versions, all are named."""
    versions: dict[tuple[str, str], set[str]] = {}
    for name, of, version in found:
        versions.setdefault((name, of), set()).add(version)
    return {key: ", ".join(sorted(several)) for key, several in versions.items()}
