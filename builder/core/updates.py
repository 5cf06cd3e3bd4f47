"""What an update brings: the packages that differ between two locks or two images, in words. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from builder.core.lock import Lock

KINDS: Final[Mapping[str, str]] = {"deb": "", "npm": " (npm)", "pypi": " (Python)", "generic": ""}


class Versioned(Protocol):
    """A package of a lock, or one that was found in an image."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    kind: str
    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A package in two images; no version where it is not in one of them."""

    kind: str  # deb | npm | pypi | ...
    name: str  # of the package
    before: str = ""  # version
    after: str = ""  # version

    def turned(self) -> Change:
        """The way back."""
        return replace(self, before=self.after, after=self.before)

    def __str__(self) -> str:
        name = f"{self.name}{KINDS.get(self.kind, '')}"
        if not self.before:
            return f"{name} {self.after} is new"
        return f"{name} {self.before} is gone" if not self.after else f"{name} {self.before} -> {self.after}"


def compare_locks(before: Lock, after: Lock) -> tuple[Change, ...]:
    """What differs between the packages of two locks, of whatever kind."""
    return find_changes(_list_locked(before), _list_locked(after))


def _list_locked(lock: Lock) -> Iterator[Versioned]:
    yield from (Locked(kind="deb", name=package.name, version=package.version) for package in lock.apt)
    for npm in lock.npm.values():
        yield from (Locked(kind="npm", name=package.name, version=package.version) for package in npm)
    for python in lock.python.values():
        yield from (Locked(kind="pypi", name=package.name, version=package.version) for package in python)


def find_changes(before: Iterable[Versioned], after: Iterable[Versioned]) -> tuple[Change, ...]:
    """What differs between the packages of two images. Of one in several versions, all are named."""
    old, new = _group_versions(before), _group_versions(after)
    return tuple(
        Change(kind=kind, name=name, before=old.get((kind, name), ""), after=new.get((kind, name), ""))
        for kind, name in sorted(old.keys() | new.keys())
        if old.get((kind, name)) != new.get((kind, name))
    )


def _group_versions(packages: Iterable[Versioned]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], set[str]] = {}
    for package in packages:
        found.setdefault((package.kind, package.name), set()).add(package.version)
    return {key: ", ".join(sorted(versions)) for key, versions in found.items()}
