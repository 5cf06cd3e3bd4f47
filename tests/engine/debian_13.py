"""Programs of Debian 13, as they are there, for tests on machines that are older.

They are fetched with apt, from the mirror in this machine's own settings, checked by apt against the archive's
signature, and unpacked; nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from builder.adapters.aptsources import find_mirrors, probe_archives
from builder.model import Base

KEYRINGS: Final = Path("/usr/share/keyrings")
TRIXIE: Final = Base(
    name="debian-13",
    distribution="debian",
    codename="trixie",
    image="debian:13-slim",
    components=("main",),
    keyring="debian-archive-keyring.gpg",
    python="3.13",
    substitute=None,
)


def fetch_packages(folder: Path, *packages: str) -> Path:
    """`folder` with what is in `packages`, unless it is there already."""
    if not folder.is_dir():
        work = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(work, ignore_errors=True)
        for deb in sorted(_download(packages, work).glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(deb), str(work / "root")], work)
        (work / "root").rename(folder)
        shutil.rmtree(work)
    return folder


def _download(packages: tuple[str, ...], work: Path) -> Path:
    """Let an apt with settings of its own fetch them; the folder that they lie in."""
    for name in ("state/lists/partial", "cache/archives/partial", "deb"):
        (work / name).mkdir(parents=True)
    mirror = probe_archives(TRIXIE, find_mirrors("debian")).mirror
    keyring = KEYRINGS / TRIXIE.keyring
    (work / "sources.list").write_text(f"deb [signed-by={keyring}] {mirror} {TRIXIE.codename} main\n")
    (work / "status").touch()
    settings = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in settings.items())]
    _run([*apt, "update"], work)
    _run([*apt, "download", *packages], work / "deb")
    return work / "deb"


def _run(argv: list[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
