"""A real registry for images on loopback: the program of Debian's package docker-registry, run as this process' child.

It is fetched as the programs of another engine are (`debian_13`): the package itself would start a service.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bcrypt
import yaml

from builder.adapters.clock import wait_for
from tests.engine.debian_13 import fetch_packages

PROGRAM: Final = "docker-registry"
START_S: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    place: str  # host:port
    log: Path

    def asked(self, pattern: str) -> list[str]:
        """The requests that it answered, as "METHOD /path", that match."""
        lines = re.findall(r'"([A-Z]+ /v2/\S*) HTTP', self.log.read_text())
        return [line for line in lines if re.match(pattern, line)]


def find_program(cache: Path) -> Path:
    """The one of this machine, else that of Debian 13, unpacked below `cache`."""
    if found := shutil.which(PROGRAM):
        return Path(found)
    return fetch_packages(cache / PROGRAM, PROGRAM) / "usr/bin" / PROGRAM


@contextmanager
def serve_registry(program: Path, data: Path, *, logins: Mapping[str, str] | None = None) -> Iterator[Registry]:
    """One that keeps what it gets in the folder `data`, which several may share; with `logins` it asks for one."""
    data.mkdir(parents=True, exist_ok=True)
    name = f"{data}-with-login" if logins else str(data)
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(data)}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if logins:
        hashed = {user: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)) for user, password in logins.items()}
        lines = "".join(f"{user}:{line.decode()}\n" for user, line in hashed.items())
        Path(f"{name}.htpasswd").write_text(lines)
        settings["auth"] = {"htpasswd": {"realm": "test", "path": f"{name}.htpasswd"}}
    Path(f"{name}.yaml").write_text(yaml.safe_dump(settings))
    log = Path(f"{name}.log")
    with log.open("w") as sink:
        process = subprocess.Popen([program, "serve", f"{name}.yaml"], stdout=sink, stderr=sink)
        try:
            listens = re.compile(r"listening on (127\.0\.0\.1:\d+)")
            found = wait_for(
                "the registry to listen",
                lambda: listens.search(log.read_text()),
                deadline_s=START_S,
                interval_s=0.05,
                why=log.read_text,
            )
            yield Registry(place=found[1], log=log)
        finally:
            process.terminate()
            process.wait(START_S)
