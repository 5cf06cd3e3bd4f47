"""What is in an image: its files, what dpkg says of them, and the texts by which packages tell about themselves.

Owns which files have to be read, and whose a file is. Must not know an engine or a form of output.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from builder.core.dpkg import DebPackage, parse_list, parse_status

if TYPE_CHECKING:
    from builder.model import ImageFile

DPKG: Final = "var/lib/dpkg"
NPM_MANIFEST: Final = re.compile(r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/@][^/]*)/package\.json")
# Node.js comes without metadata; what its builds write into themselves names the version.
NODE: Final = re.compile(r"(?:.*/)?bin/node")
NODE_VERSION: Final = re.compile(rb"node\.js/v\d+\.\d+\.\d+(?=[^\d])")
PYTHON_MANIFEST: Final = re.compile(r".*\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_WANTED: Final = re.compile(
    rf"{DPKG}/status|{DPKG}/status\.d/[^/]+|{DPKG}/info/[^/]+\.list|usr/share/doc/[^/]+/copyright|(usr/lib|etc)/os-release"
    rf"|{NPM_MANIFEST.pattern}|{PYTHON_MANIFEST.pattern}|.*\.dist-info/RECORD"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Paths are without the leading slash, and sorted."""

    files: Mapping[str, ImageFile]  # without their bytes
    links: Mapping[str, str] = field(default_factory=dict)  # symbolic link -> what is written in it
    debs: tuple[DebPackage, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)  # path, as dpkg spells it -> package
    texts: Mapping[str, str] = field(default_factory=dict)

    def owner_of(self, path: str) -> str | None:
        """The Debian package that `path` came with. A path of /usr and its old name without it are one file in two
        spellings, of which dpkg knows one."""
        return self.owners.get(path) or self.owners.get(path.removeprefix("usr/"))


def find_wanted(path: str) -> bool | re.Pattern[bytes]:
    """Whether `read_contents` needs the bytes of that file, or what part of them."""
    if NODE.fullmatch(path):
        return NODE_VERSION
    return _WANTED.fullmatch(path) is not None


def read_contents(found: Iterable[ImageFile]) -> Contents:
    files, links, texts, owners = {}, {}, {}, {}
    for told in found:
        file = replace(told, path=_printable(told.path), link=_printable(told.link))
        if file.link:
            links[file.path] = file.link
            continue
        files[file.path] = replace(file, data=b"")
        if listed := dict(parse_list(file.path, file.data)):
            owners.update(listed)
        elif file.data:
            texts[file.path] = file.data.decode(errors="replace")
    return Contents(
        files=dict(sorted(files.items())),
        links=dict(sorted(links.items())),
        debs=_find_debs(texts),
        owners=owners,
        texts=dict(sorted(texts.items())),
    )


def _printable(path: str) -> str:
    """A file's name is any bytes; what is not UTF-8 comes as surrogates, which no JSON takes."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _find_debs(texts: Mapping[str, str]) -> tuple[DebPackage, ...]:
    """`status.d` is how images without dpkg tell of their packages."""
    places = [path for path in texts if path == f"{DPKG}/status" or path.startswith(f"{DPKG}/status.d/")]
    debs = {(deb.name, deb.arch): deb for path in sorted(places) for deb in parse_status(texts[path])}
    return tuple(debs[key] for key in sorted(debs))


def read_text(contents: Contents, path: str) -> str:
    """The text at `path`, which a symbolic link, also of one of its folders, may lead to; empty if there is none."""
    for _ in range(8):
        if path in contents.texts:
            return contents.texts[path]
        parts = path.split("/")
        heads = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        head = next((head for head in heads if head in contents.links), None)
        if head is None:
            return ""
        target = posixpath.normpath(posixpath.join("/", posixpath.dirname(head), contents.links[head]))
        path = (target + path[len(head) :]).lstrip("/")
    return ""


def find_distribution(contents: Contents) -> tuple[str, str]:
    """Id and version of the distribution: ("debian", "12")."""
    text = read_text(contents, "etc/os-release") or read_text(contents, "usr/lib/os-release")
    told = {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    return told.get("ID", "debian"), told.get("VERSION_ID", "")
