"""Closures of Python projects: which wheels and source archives pip has to take, and no others.

Owns the form of requirements that pin by hash, and of the answer of `python-install`. Must not know how pip is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from builder.errors import LockError

if TYPE_CHECKING:
    from builder.model import RenderedTree

RUN: Final = "constraints.txt"  # files of a project that pin by hash: all that it needs to run
BUILD: Final = "constraints-build.txt"  # and all that building its wheel needs
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_COMMENT: Final = re.compile(r"(^|\s)\s*#.*")
# pip-compile and uv write such lines. Whom to ask is a matter of the machine, and the sums say what is taken.
_WHOM: Final = re.compile(
    r"(-i|-f|--(extra-)?index-url|--no-index|--find-links|--trusted-host|--no-binary|--only-binary|--pre)\b.*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """One wheel or source archive of a closure. A project that pins for several Pythons names several sums."""

    name: str
    version: str
    sha256: tuple[str, ...]
    build: bool = False  # for building the wheel of the project, not for running it


def parse_files(text: str, *, tool: str, build: bool = False) -> tuple[PythonPackage, ...]:
    """What pip chose, as `<sha256>  <file name>` a line, by name. Raises LockError for another form."""
    return tuple(sorted((_read_file(line, tool, build) for line in text.splitlines()), key=lambda item: item.name))


def _read_file(line: str, tool: str, build: bool) -> PythonPackage:
    digest, _, file = line.partition("  ")
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
        else:
            name, version = parse_sdist_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise LockError(
            f"pip chose a file that is neither wheel nor source archive: {file}",
            where=tool,
            hint="look at what its index gives out, or name another version among what it needs",
        ) from error
    return PythonPackage(name=name, version=str(version), sha256=(digest,), build=build)


def parse_pinned(text: str, *, python: str, where: str, build: bool = False) -> tuple[PythonPackage, ...]:
    """The packages that a file of requirements pins for the version `python`, by name. Raises LockError."""
    lines = (_COMMENT.sub("", line).strip() for line in re.sub(r"\\\n", " ", text).splitlines())
    found = (_read_pin(line, python, where, build) for line in lines if line and not _WHOM.fullmatch(line))
    return tuple(sorted((item for item in found if item), key=lambda item: item.name))


def _read_pin(line: str, python: str, where: str, build: bool) -> PythonPackage | None:
    sums = tuple(sorted(_HASH.findall(line)))
    try:
        wanted = Requirement(line.partition(" --hash")[0].strip())
    except InvalidRequirement as error:
        raise LockError(f"no pin by hash: {line.strip()[:80]}", where=where, hint="NAME==VERSION --hash=...") from error
    pins = [item.version for item in wanted.specifier if item.operator in ("==", "===")]
    if not sums or len(pins) != 1:
        raise LockError(f"no pin by hash: {line.strip()[:80]}", where=where, hint="NAME==VERSION --hash=sha256:...")
    words = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    if wanted.marker is not None and not wanted.marker.evaluate(words):
        return None
    return PythonPackage(name=canonicalize_name(wanted.name), version=pins[0], sha256=sums, build=build)


def is_pinned(files: RenderedTree, name: str = RUN) -> bool:
    """Whether a project says itself, by hash, what it takes. `python-install` has the same rule."""
    return name in files and b"--hash=" in files[name].data


def render_pins(packages: Iterable[PythonPackage], *, build: bool) -> str:
    """Requirements for `pip install --require-hashes`; empty where nothing is needed."""
    chosen = sorted((item for item in packages if item.build == build), key=lambda item: item.name)
    return "".join(
        f"{item.name}=={item.version}{''.join(f' --hash=sha256:{digest}' for digest in item.sha256)}\n"
        for item in chosen
    )


def render_python_closure(packages: Sequence[PythonPackage]) -> Mapping[str, str]:
    """The files that hold pip to a closure, by name."""
    return {RUN: render_pins(packages, build=False), BUILD: render_pins(packages, build=True)}
