"""Versions of the engine's parts below which something is known to be unsafe, and what that means for one person.

The table is data; an engine is compared with it by number alone. A distribution mends under old numbers, so that a
number below the floor is a question to its package, never a proof. Sources: the security advisories of moby/moby,
opencontainers/runc and moby/buildkit, and the release notes of Docker Engine 28.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from builder.model import EngineVersion

_PACKAGED: Final = re.compile(r"[+~-](?:dfsg|ds|deb|\d*ubuntu)")


class Reach(Enum):
    """Whom it can hurt, which decides for which engines it counts."""

    NEIGHBOURS = "neighbours"  # ports of a rootful engine that routes packets into its bridges on this machine
    FIREWALLD = "firewalld"  # the same, where firewalld runs
    ESCAPE = "escape"  # out of a container, with the rights of the engine
    BUILD = "build"  # out of a build step, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """`fixed` holds the first sound version of each line that was mended; what is newer than all of them is sound."""

    part: str  # engine | runc | buildkit
    fixed: tuple[str, ...]
    since: str = "0.0"  # the first version that has it
    cves: tuple[str, ...] = ()
    reach: Reach
    problem: str
    remedy: str
    package: str  # of Debian and Ubuntu, whose changelog names a fix under an older number


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """A floor that an engine is below. `applies` is false where it cannot hurt here; `meaning` says why, or what."""

    floor: Floor
    version: str
    applies: bool
    meaning: str
    packaged: bool  # a distribution's build


FLOORS: Final = (
    Floor(
        part="engine",
        fixed=("28.0.0",),
        reach=Reach.NEIGHBOURS,
        problem="a port published on 127.0.0.1 can be reached by hosts of the same network segment",
        remedy="upgrade the engine, or block forwarded traffic to these ports on networks that you do not trust",
        package="docker.io",
    ),
    Floor(
        part="engine",
        fixed=("28.3.3",),
        since="28.2.0",
        cves=("CVE-2025-54388",),
        reach=Reach.FIREWALLD,
        problem="after a reload of firewalld, ports published on 127.0.0.1 can be reached from the network",
        remedy="upgrade the engine, or restart it after each reload of firewalld",
        package="docker.io",
    ),
    Floor(
        part="runc",
        fixed=("1.2.8", "1.3.3"),
        cves=("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"),
        reach=Reach.ESCAPE,
        problem="an image or a mount made for it can lead a container's start out of the container",
        remedy="upgrade runc; until then run no image and build nothing that you do not trust",
        package="runc",
    ),
    Floor(
        part="buildkit",
        fixed=("24.0.9", "25.0.2"),  # the engines that carry BuildKit 0.12.5 or its fixes; they have it built in
        cves=("CVE-2024-23650", "CVE-2024-23651", "CVE-2024-23652", "CVE-2024-23653"),
        reach=Reach.BUILD,
        problem="BuildKit is older than 0.12.5: a build step made for it can read or remove files out of its container",
        remedy="upgrade the engine; until then build no framework or package that you do not trust",
        package="docker.io",
    ),
)


def find_below(engine: EngineVersion) -> Iterator[Below]:
    """The floors that this engine is below by its numbers, in the table's order. An unknown number is below none.

    podman counts its versions otherwise, and shares with Docker's engine only runc.
    """
    for floor in FLOORS:
        if engine.kind != "docker" and floor.part != "runc":
            continue
        version = engine.runc if floor.part == "runc" else engine.version
        if not _is_below(version, floor):
            continue
        applies, meaning = _meaning(floor.reach, engine)
        packaged = bool(_PACKAGED.search(version))
        yield Below(floor=floor, version=version, applies=applies, meaning=meaning, packaged=packaged)


def _is_below(version: str, floor: Floor) -> bool:
    found = _numbers(version)
    if found is None or found < (_numbers(floor.since) or ()):
        return False
    fixed = [numbers for text in floor.fixed if (numbers := _numbers(text))]
    return found < max(fixed) and not any(found[:2] == line[:2] and found >= line for line in fixed)


def _numbers(version: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def _meaning(reach: Reach, engine: EngineVersion) -> tuple[bool, str]:
    """Whether it counts for this engine, and what it comes to."""
    match reach:
        case Reach.NEIGHBOURS | Reach.FIREWALLD if engine.desktop or engine.rootless:
            kind = "Docker Desktop" if engine.desktop else "a rootless engine"
            return False, f"{kind} publishes through a program on this machine's own loopback, not by routing"
        case Reach.NEIGHBOURS:
            return True, "your VNC, web, SSH and dev ports; VNC and SSH still ask who comes, a dev server may not"
        case Reach.FIREWALLD if engine.firewall and "firewalld" not in engine.firewall:
            return False, "firewalld does not run here"
        case Reach.FIREWALLD:
            return True, "where firewalld runs: your VNC, web, SSH and dev ports"
        case Reach.ESCAPE | Reach.BUILD:
            return True, f"whoever gets out {_rights(engine)}"


def _rights(engine: EngineVersion) -> str:
    if engine.desktop:
        return "is root in the virtual machine of Docker Desktop, with what it shares of your files"
    return "has your own rights on this machine, not root's" if engine.rootless else "is root on the engine's machine"
