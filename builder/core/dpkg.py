"""What dpkg knows of the packages of an image. Owns the form of its files and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

# States of a package whose files are there, see dpkg(1).
PRESENT: Final = frozenset({"unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DebPackage:
    name: str
    version: str = ""
    arch: str = ""
    source: str = ""  # the source package that it was built from
    source_version: str = ""
    maintainer: str = ""
    homepage: str = ""
    needs: tuple[tuple[str, ...], ...] = ()  # what it depends on; of each the alternatives
    provides: tuple[str, ...] = ()
    basic: bool = False  # every installation has it


def parse_status(text: str) -> tuple[DebPackage, ...]:
    """The packages of dpkg's `status` whose files are there. A stanza of `status.d`, which has no status, is taken."""
    found = []
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE))
        state = fields.get("Status", "install ok installed").split()[-1]
        if "Package" in fields and state in PRESENT:
            found.append(_read_stanza(fields))
    return tuple(found)


def _read_stanza(fields: dict[str, str]) -> DebPackage:
    name, version = fields["Package"], fields.get("Version", "")
    # `Source: glibc` or `Source: gcc-12 (12.2.0-14)`: the version stands there where it is another one.
    source, _, source_version = fields.get("Source", name).partition(" ")
    wanted = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
    return DebPackage(
        name=name,
        version=version,
        arch=fields.get("Architecture", ""),
        source=source,
        source_version=source_version.strip("()") or version,
        maintainer=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        needs=tuple(_names(group, "|") for group in wanted.split(",") if group.strip()),
        provides=_names(fields.get("Provides", ""), ","),
        basic=fields.get("Essential") == "yes" or fields.get("Priority") == "required" or name == "apt",
    )


def _names(text: str, separator: str) -> tuple[str, ...]:
    """`libc6 (>= 2.36) | a:any` -> libc6, a."""
    return tuple(match[0] for part in text.split(separator) if (match := re.match(r"[\w.+-]+", part.strip())))


def resolve_needs(debs: Collection[DebPackage]) -> dict[str, tuple[str, ...]]:
    """Of each package those that it depends on: of alternatives the first that is there, or what provides it."""
    needs = {deb.name: deb.needs for deb in debs}
    providers: dict[str, list[str]] = {}
    for deb in debs:
        for name in deb.provides:
            providers.setdefault(name, []).append(deb.name)

    def installed(choices: tuple[str, ...]) -> list[str]:
        for name in choices:
            if name in needs:
                return [name]
            if name in providers:
                return providers[name]
        return []

    return {
        name: tuple(sorted({found for choices in wanted for found in installed(choices)} - {name}))
        for name, wanted in needs.items()
    }


def parse_list(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """The paths, without the leading slash, of one `info/NAME[:ARCH].list`, each with NAME."""
    if named := re.fullmatch(r"var/lib/dpkg/info/([^:]+)(:\w+)?\.list", path):
        for line in data.decode(errors="replace").splitlines():
            yield line.lstrip("/"), named[1]


def parse_licences(text: str) -> tuple[str, ...]:
    """What the `License:` lines of a machine-readable `copyright` say, in SPDX's spelling where that is known.

    A `copyright` in prose says nothing that could be told without guessing.
    """
    if not re.match(r"Format(-Specification)?:", text):
        return ()
    lines = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    return tuple(sorted({_spdx_spelling(line) for line in lines}))


def _spdx_spelling(line: str) -> str:
    """`GPL-2+ or Artistic, and Expat` -> `(GPL-2.0-or-later OR Artistic) AND MIT`.

    The form is DEP 5, Debian's own: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-syntax
    """
    groups = [_spdx_group(part) for part in re.split(r",\s+(and|or)\s+", line.strip())]
    return " ".join(f"({part})" if len(groups) > 1 and " " in part else part for part in groups)


def _spdx_group(text: str) -> str:
    words = re.split(r"\s+(and|or)\s+", text)
    return " ".join(word.upper() if word in ("and", "or") else _spdx_name(word) for word in words)


def _spdx_name(name: str) -> str:
    if name.lower() == "expat":
        return "MIT"
    if family := re.fullmatch(r"(A?GPL|LGPL)-(\d)(?:\.(\d))?(\+?)", name):
        return f"{family[1]}-{family[2]}.{family[3] or 0}-{'or-later' if family[4] else 'only'}"
    return name
