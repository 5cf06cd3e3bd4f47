"""A server of S3 for backups: moto, from an environment of its own, since nothing else needs it and what it needs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from builder.adapters.clock import wait_for

PACKAGE: Final = "moto[server]==5.2.5"
HOST: Final = "127.0.0.1"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Its address. What it is sent lies in its memory."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    with socket.socket() as found:
        found.bind((HOST, 0))
        port = found.getsockname()[1]
    command = [str(folder / "bin/moto_server"), "--host", HOST, "--port", str(port)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait_for("the server", lambda: _answers(port), deadline_s=60, interval_s=0.2)
            yield f"http://{HOST}:{port}"
        finally:
            server.terminate()


def _answers(port: int) -> bool | None:
    with socket.socket() as wire:
        return True if wire.connect_ex((HOST, port)) == os.EX_OK else None
