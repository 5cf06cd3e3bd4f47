"""Files of packages that a machine keeps, so that it can build without a network: what a lock names, by its sums.

Owns which files those are, and the lines by which they are asked for. Must not know where they are kept, nor the base:
which of its packages are in the base already is seen there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from builder.core.lock import Lock
    from builder.core.lock_npm import NpmPackage

KINDS: Final = ("apt", "npm", "pip")
CPUS: Final = {"amd64": "x64", "arm64": "arm64"}  # as Node.js calls them
SHOWN: Final = 5  # packages that an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file of a package source. A project that pins for several Pythons names several sums: one of them will do."""

    kind: str
    name: str  # "htop 3.2.2-2", for words
    sums: tuple[str, ...]  # "sha256-<hex>"
    line: str  # by which it is asked for


def list_files(lock: Lock) -> tuple[KeptFile, ...]:
    """Every file that a build by `lock` takes from apt's, npm's and pip's sources."""
    return tuple(dict.fromkeys((*_list_apt(lock), *_list_npm(lock), *_list_pip(lock))))


def _list_apt(lock: Lock) -> Iterator[KeptFile]:
    for item in lock.apt:
        if item.sha256:  # else no mirror has it: it comes with the base
            line = f"{item.name} {item.architecture} {item.version} {item.sha256}"
            yield KeptFile(kind="apt", name=f"{item.name} {item.version}", sums=(f"sha256-{item.sha256}",), line=line)


def _list_npm(lock: Lock) -> Iterator[KeptFile]:
    for closure in lock.npm.values():
        for item in closure:
            if item.integrity and fits(item, lock.wanted.arch):  # else it lies in another one's file, or is never taken
                algorithm, _, digest = item.integrity.partition("-")
                yield KeptFile(
                    kind="npm",
                    name=f"{item.name} {item.version}",
                    sums=(f"{algorithm}-{base64.b64decode(digest).hex()}",),
                    line=f"{item.integrity} {item.name}@{item.version}",
                )


def _list_pip(lock: Lock) -> Iterator[KeptFile]:
    for closure in lock.python.values():
        for item in closure:
            hashes = " ".join(f"--hash=sha256:{digest}" for digest in item.sha256)
            yield KeptFile(
                kind="pip",
                name=f"{item.name} {item.version}",
                sums=tuple(f"sha256-{digest}" for digest in item.sha256),
                line=f"{item.name}=={item.version} {hashes}",
            )


def fits(package: NpmPackage, arch: str) -> bool:
    """Whether npm takes it on Linux with glibc. Source: npm-install-checks, checkPlatform."""
    here = {"os": "linux", "cpu": CPUS.get(arch, arch), "libc": "glibc"}
    return all(_allows(package.needs.get(key), value) for key, value in here.items())


def _allows(listed: object, value: str) -> bool:
    names = [listed] if isinstance(listed, str) else listed
    if not isinstance(names, (list, tuple)) or not names or list(names) == ["any"]:
        return True
    wanted = [name for name in names if not str(name).startswith("!")]
    return f"!{value}" not in names and (not wanted or value in wanted)


def describe_files(names: Sequence[str]) -> str:
    """The first few by name, and how many more."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
