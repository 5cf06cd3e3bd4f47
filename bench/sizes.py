"""Size: of both images, unpacked and packed, and of each tool's share in them.

A share is found in the files, not in the layers: a file belongs to its package, a package to the first part whose
named packages need it. So both images are cut in the same way, whatever their Dockerfiles look like.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, Share, make_figure
from bench.recipe import api
from builder.adapters.engine.client import connect_engine
from builder.core.contents import Contents, find_wanted, read_contents
from builder.core.cost import find_needed_by

if TYPE_CHECKING:
    from bench.pair import Pair

CHUNK: Final = 1 << 20
# In this order: what two parts need belongs to the first. The packages that are there decide; most names are of one
# image or the other.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "basics": (
        *("ca-certificates", "curl", "iproute2", "jq", "less", "libc-bin", "locales", "nano", "procps", "psmisc"),
        *("ripgrep", "tree", "tzdata", "unzip", "vim-tiny", "xz-utils", "zip"),
    ),
    "git": ("git",),
    "python": ("python3", "python3-pip", "python3-venv"),
    "zsh": ("zsh",),
    "sudo": ("sudo",),
    "sshd": ("openssh-server",),
    "desktop": (
        *("dbus-x11", "xfce4", "xfce4-panel", "xfce4-session", "xfce4-settings", "xfce4-terminal", "xfce4-appfinder"),
        *("xfconf", "xfdesktop4", "xfwm4", "xsettingsd", "thunar", "mousepad", "librsvg2-common", "fonts-dejavu-core"),
        *("adwaita-icon-theme", "elementary-xfce-icon-theme", "greybird-gtk-theme", "x11-utils", "x11-xserver-utils"),
    ),
    "VNC server": (
        *("tigervnc-standalone-server", "tigervnc-common", "tigervnc-tools", "tightvncserver", "xfonts-base"),
    ),
    "noVNC": ("novnc", "websockify"),
    "node": ("nodejs", "npm"),
    "devbox": ("s6",),
}
KEPT_DEBS: Final = "var/cache/apt/archives/"
# Files of no package: the first pattern that fits.
PLACES: Final = (
    (re.compile(r"(opt|usr/local/lib/node_modules)/.*claude-code"), "Claude Code"),
    (re.compile(r"root/\.npm/"), "Claude Code"),  # npm's cache, where an install left it
    (re.compile(r"opt/node/"), "node"),
    (re.compile(r"opt/.*novnc"), "noVNC"),
    (re.compile(r"opt/oh-my-zsh/"), "zsh"),
    (re.compile(r"(usr/lib|etc|usr/share)/devbox/"), "devbox"),
    (re.compile(r"usr/(lib|local/lib)/python3"), "python"),
    (re.compile(r"usr/share/(icons|themes|fonts|mime|applications|backgrounds|glib-2.0)/"), "desktop"),
    (re.compile(KEPT_DEBS), "packages kept by apt"),
    (re.compile(r"var/(lib|cache)/(dpkg|apt|debconf)/"), "package lists"),
)
BASE: Final = "base"


def measure_size(pair: Pair, rounds: int) -> list[Figure]:
    """The naive build keeps apt's packages, as on a debootstrapped base it does who follows a tutorial written for an
    official image, which deletes them by itself. What is left of the ratio without them is told too."""
    ours, naive = str(pair.ours.status()["image"]), pair.naive.image
    plain = [api().inspect_image(image)["Size"] / 1e6 for image in (ours, naive)]  # type: ignore[no-untyped-call]
    packer = _find_packer()
    packed = [_packed_size(image, packer) / 1e6 for image in (ours, naive)]
    contents = read_image(naive)
    kept = sum(file.size for path, file in contents.files.items() if path.startswith(KEPT_DEBS)) / 1e6
    _keep_shares(pair, share_out(read_image(ours)), share_out(contents))
    how = "zstd -3" if packer else "zlib's level 6: there is no zstd here"
    what, words = "image with all tools", f"the same packed by {how}"
    base, clean = "the naive image", "the naive image less the packages that apt kept in it"
    return [
        make_figure("size", what, "MB", (plain[0],), base, (plain[1],)),
        make_figure("size-clean", what, "MB", (plain[0],), clean, (plain[1] - kept,)),
        make_figure("size-packed", words, "MB", (packed[0],), base, (packed[1],)),
        make_figure("size-packed-clean", words, "MB", (packed[0],), clean, (packed[1] - kept,)),
    ]


def _keep_shares(pair: Pair, ours: Mapping[str, float], naive: Mapping[str, float]) -> None:
    """For the docs: what each tool takes; the rows of a picture and of a table of its own."""
    parts = sorted({*ours, *naive}, key=lambda part: -max(ours.get(part, 0), naive.get(part, 0)))
    pair.shares += [
        Share(part=part, ours=round(ours.get(part, 0) / 1e6, 1), naive=round(naive.get(part, 0) / 1e6, 1))
        for part in parts
    ]


# ------------------------------------------------------------------------------------------------------- packed


def _find_packer() -> list[str] | None:
    program = shutil.which("zstd")
    return [program, "-3", "--quiet", "--stdout"] if program else None


def _packed_size(image: str, packer: list[str] | None) -> int:
    """Of the archive that `docker save` writes."""
    chunks: Iterator[bytes] = api().get_image(image, chunk_size=CHUNK)
    if packer is None:
        squeeze = zlib.compressobj(6)
        return sum(len(squeeze.compress(chunk)) for chunk in chunks) + len(squeeze.flush())
    counter = ["sh", "-c", '"$@" | wc -c', "packed-size", *packer]
    with subprocess.Popen(counter, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipe to the packer")
        for chunk in chunks:
            process.stdin.write(chunk)
        process.stdin.close()
        return int(process.stdout.read())


# ------------------------------------------------------------------------------------------------------- shares


def read_image(image: str) -> Contents:
    return read_contents(connect_engine(os.environ).read_files(image, find_wanted))


def share_out(found: Contents) -> dict[str, float]:
    """Bytes of each part."""
    parts = _assign_packages(found)
    shares: dict[str, float] = {}
    for path, file in found.files.items():
        package = found.owner_of(path)
        part = parts.get(package, "other packages") if package else _place(path)
        shares[part] = shares.get(part, 0) + file.size
    return shares


def _assign_packages(found: Contents) -> dict[str, str]:
    """What two parts need belongs to the first."""
    basics = tuple(sorted(deb.name for deb in found.debs if deb.basic))
    return {package: parts[0] for package, parts in find_needed_by(found.debs, {BASE: basics, **PARTS}).items()}


def _place(path: str) -> str:
    return next((part for pattern, part in PLACES if pattern.match(path)), "other files")
