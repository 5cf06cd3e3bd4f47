"""The nouns of `devbox-lock.json`: what was asked of the world, and what it answered, for everybody who has the file.

Owns when a lock still fits what devbox.yaml asks for, and says in words where it does not. Must not know how the file
is written (`lock_file` does) nor whom to ask (`tasks.lock`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from builder.core.canonical import content_id
from builder.core.lock_npm import NpmPackage, check_pinned, render_npm_closure
from builder.core.lock_python import PythonPackage, render_python_closure
from builder.core.plan import group_packages
from builder.model import EMPTY, Answers, BaseAnswer, ProjectKind, Resolved, Retrieval, Substitution

FILE: Final = "devbox-lock.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AptStep:
    """A step of the build that installs packages of Debian, and those that it names."""

    name: str  # "apt", "apt:htop"
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What the host fetches and checks: a wheel or an archive."""

    version: str
    sha256: str
    source: str = ""  # hash of the address that an archive is fetched from; none for a file of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of the world. As long as it stays the same, the answers hold."""

    profile: str
    arch: str
    base: str  # that devbox.yaml asks for; another one may stand in its place
    image: str
    substitute: str = ""
    snapshot: str = ""  # of the apt archives, where one is set
    apt: tuple[AptStep, ...] = ()  # in the order of the build, for the base that is used
    npm: Mapping[str, str] = field(default_factory=dict)  # tool -> package@version
    python: Mapping[str, str] = field(default_factory=dict)  # tool -> hash of what says what it needs
    repositories: Mapping[str, str] = field(default_factory=dict)  # tool -> hash of a Git address and revision
    downloads: Mapping[str, Download] = field(default_factory=dict)  # by tool


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBase:
    name: str  # of the base that is used
    image: str  # what FROM names
    identity: str  # a digest, an image id, or the hash of a recipe
    how: Retrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class AptPackage:
    """A package that is installed in the end, of the base or by a step."""

    name: str
    version: str
    architecture: str  # amd64, all
    step: str  # that brings it, or finds it in the base
    sha256: str = ""  # none for one that no mirror has: it comes with the base
    path: str = ""  # pool/main/h/htop/htop_3.2.2-2_amd64.deb


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hashes of what devbox itself brings. Another devbox is told of, and never a reason to refuse."""

    templates: str
    rootfs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    devbox: str  # the version that wrote it
    wanted: Wanted
    base: LockedBase
    recipe: Recipe
    substitutions: tuple[Substitution, ...] = ()  # of the base, and of archives that could not be had
    commits: Mapping[str, str] = field(default_factory=dict)  # tool -> what its Git revision stands for
    apt: tuple[AptPackage, ...] = ()  # by name
    npm: Mapping[str, tuple[NpmPackage, ...]] = field(default_factory=dict)  # tool -> all that it brings
    python: Mapping[str, tuple[PythonPackage, ...]] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[str, ...]:
        """Tools whose archive could not be had."""
        return tuple(item.what for item in self.substitutions if item.what in self.wanted.downloads)


def make_wanted(resolved: Resolved, used: Resolved, *, python: Mapping[str, str] = EMPTY) -> Wanted:
    """What `resolved` asks; `used` is the same for the base that stands in its place, if one does. `python` maps each
    Python project to a hash of what says what it needs."""
    return Wanted(
        profile=resolved.profile,
        arch=resolved.arch,
        base=resolved.base.name,
        image=resolved.base.image,
        substitute=resolved.substitute.name if resolved.substitute else "",
        snapshot=used.base.snapshot,
        apt=tuple(AptStep(name=name, packages=packages) for name, packages in group_packages(used).items()),
        npm={tool.name: f"{tool.npm.package}@{tool.npm.version}" for tool in used.tools if tool.npm},
        python=python,
        repositories={
            tool.name: content_id([tool.python.location, tool.python.revision])
            for tool in used.tools
            if tool.python and tool.python.kind is ProjectKind.GIT
        },
        downloads=dict(_find_downloads(used)),
    )


def _find_downloads(resolved: Resolved) -> Iterator[tuple[str, Download]]:
    for tool in resolved.tools:
        if tool.wheel is not None:
            version = tool.version or tool.wheel.requirement.partition("==")[2]
            yield tool.name, Download(version=version, sha256=next(iter(tool.wheel.sha256.values()), ""))
        elif tool.archive is not None:
            place = tool.archive.location
            source = content_id(place) if place.startswith(("http://", "https://")) else ""
            yield tool.name, Download(version=tool.version or "", sha256=tool.archive.sha256, source=source)


def explain_stale(lock: Lock, wanted: Wanted) -> tuple[str, ...]:
    """What devbox.yaml asks for and the lock does not answer, in words; nothing where the lock fits."""
    was = lock.wanted
    words = [
        f"{name} is {now or 'none'}, and was {then or 'none'}"
        for name, then, now in (
            ("the profile", was.profile, wanted.profile),
            ("the architecture", was.arch, wanted.arch),
            ("the base", was.base, wanted.base),
            ("the image of the base", was.image, wanted.image),
            ("what may stand in for the base", was.substitute, wanted.substitute),
            ("the snapshot of apt", was.snapshot, wanted.snapshot),
        )
        if then != now
    ]
    words += _explain_packages(was.apt, wanted.apt)
    for what, then, now in (
        ("npm package of", was.npm, wanted.npm),
        ("Python project", was.python, wanted.python),
        ("repository of", was.repositories, wanted.repositories),
        ("download of", was.downloads, wanted.downloads),
    ):
        words += _explain_keys(what, then, now)
    words += [f"what {tool} needs is not locked" for tool in was.npm if tool in wanted.npm and tool not in lock.npm]
    words += [
        f"what {tool} needs is not locked" for tool in was.python if tool in wanted.python and tool not in lock.python
    ]
    return tuple(words)


def _explain_packages(was: Sequence[AptStep], wanted: Sequence[AptStep]) -> list[str]:
    then = {package for step in was for package in step.packages}
    now = {package for step in wanted for package in step.packages}
    words = [f"the package {name} is new" for name in sorted(now - then)]
    words += [f"the package {name} is not wanted any more" for name in sorted(then - now)]
    if not words and was != wanted:
        words.append("the packages are installed in other steps")
    return words


def _explain_keys(what: str, then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    words = [f"the {what} {name} is new" for name in now if name not in then]
    words += [f"the {what} {name} is not wanted any more" for name in then if name not in now]
    return words + [f"the {what} {name} is another one" for name in now if name in then and then[name] != now[name]]


def check_integrity(lock: Lock, resolved: Resolved) -> None:
    """Hold the packages of npm to what the catalogue pins. Raises LockError."""
    for tool in resolved.tools:
        if tool.npm is None or not tool.npm.integrity or tool.name not in lock.npm:
            continue
        package = f"{tool.npm.package}@{tool.npm.version}"
        if lock.wanted.npm.get(tool.name) == package:
            check_pinned(lock.npm[tool.name], package, tool.npm.integrity, origin=tool.origin)


def answer_by(lock: Lock) -> Answers:
    """What the plan takes from the lock."""
    base = lock.base
    return Answers(
        base=BaseAnswer(name=base.name, reference=base.image, how=base.how, identity=base.identity),
        absent=lock.absent,
        substitutions=lock.substitutions,
        commits=lock.commits,
        packages={step.name: locked_lines(lock, step.name) for step in lock.wanted.apt},
        closures={
            **{tool: render_npm_closure(lock.wanted.npm[tool], closure) for tool, closure in lock.npm.items()},
            **{tool: render_python_closure(closure) for tool, closure in lock.python.items()},
        },
    )


def locked_lines(lock: Lock, step: str) -> tuple[str, ...]:
    """What apt-install is told: of each package that is there after `step` name, architecture, version and sha256."""
    names = [item.name for item in lock.wanted.apt]
    until = set(names[: names.index(step) + 1])
    return tuple(
        f"{package.name} {package.architecture} {package.version} {package.sha256 or '-'}"
        for package in sorted(lock.apt, key=lambda package: (package.name, package.architecture))
        if package.step in until
    )
