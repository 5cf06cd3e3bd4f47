"""The question to apt, which packages the steps of a build would install, and how its answer is read.

Owns the form of the files that go to images/rootfs/init/usr/lib/devbox/apt-ask and come from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from builder.core.lock import AptPackage, AptStep
from builder.errors import LockError
from builder.model import RenderedFile

if TYPE_CHECKING:
    from builder.model import RenderedTree

Key = tuple[str, str]  # name, architecture


def render_files(steps: Sequence[AptStep], keep: Iterable[AptPackage]) -> RenderedTree:
    """`question/` of the build context: what each step wants, and the versions that are to stay, if they can be had."""
    wanted = "".join(f"{' '.join(step.packages)}\n" for step in steps)
    pins = "\n".join(
        f"Package: {package.name}\nPin: version {package.version}\nPin-Priority: 1001\n" for package in keep
    )
    return {"question/keep": RenderedFile(data=pins.encode()), "question/steps": RenderedFile(data=wanted.encode())}


def read_answer(
    files: Mapping[str, str], steps: Sequence[AptStep], kept: Sequence[AptPackage] = ()
) -> tuple[AptPackage, ...]:
    """All that is installed after the last step. `kept` are of earlier steps, on which the question stood.

    Raises LockError where a step takes away what one before it brings: no order of installing gives both.
    """
    known = _read_known(files["known"])
    there = _read_installed(files["installed"])
    native = files["native"].strip()
    found = {(package.name, package.architecture): package for package in kept}
    for number, step in enumerate(steps, start=1):
        after = _apply(there, _read_changes(files[f"step-{number}"], known, native))
        if gone := sorted(key for key in found if key not in after):
            raise LockError(
                f"{step.name} takes away {gone[0][0]}, which {found[gone[0]].step} brings",
                hint="`apt` of devbox.yaml, or a tool, wants packages that exclude each other: leave one out",
            )
        for key, version in after.items():
            if key in found and found[key].version != version:
                raise LockError(
                    f"{step.name} needs {key[0]} {version}, and {found[key].step} brings {found[key].version}",
                    hint="`devbox lock --update` asks for all of them anew",
                )
            if key not in found:
                sha256, path = known.get((*key, version), ("", ""))
                found[key] = AptPackage(
                    name=key[0], architecture=key[1], version=version, step=step.name, sha256=sha256, path=path
                )
    return tuple(found[key] for key in sorted(found))


def _apply(there: Mapping[Key, str], changes: Iterable[tuple[Key, str]]) -> dict[Key, str]:
    """What is installed after all the steps up to one."""
    after = dict(there)
    for (name, arch), version in changes:
        same = [key for key in after if key[0] == name and (key[1] == arch or "all" in (key[1], arch))]
        for key in same:
            del after[key]
        if version:
            after[name, arch] = version
    return after


def _read_changes(told: str, known: Collection[tuple[str, str, str]], native: str) -> Iterator[tuple[Key, str]]:
    """From `+ libc6 2.36-10`, `+ libc6:i386 2.36-10` or `- perl`: the version is empty for what goes. apt names the
    architecture where it is a foreign one; else it is the machine's own, or none."""
    for line in told.splitlines():
        sign, named, *version = line.split()
        name, _, arch = named.partition(":")
        if sign == "+":
            arch = arch or ("all" if (name, "all", version[0]) in known else native)
        yield (name, arch or native), "".join(version)


def _read_installed(text: str) -> dict[Key, str]:
    rows = (line.split() for line in text.splitlines())
    return {(name, arch): version for name, arch, version in rows}


def _read_known(text: str) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Of each package and version its sum and its path, from stanzas of apt's lists. dpkg's own have neither."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if "SHA256" in fields:
            key = (fields["Package"], fields["Architecture"], fields["Version"])
            found.setdefault(key, (fields["SHA256"], fields.get("Filename", "").removeprefix("./")))
    return found
