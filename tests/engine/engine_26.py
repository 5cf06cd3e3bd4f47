"""Docker Engine 26.1 as Debian 13 ships it, beside the engine of this machine: `make engine-26`, `make engine-26-stop`.

It outlives what started it, as the engine of `make engine` does, and so its programs lie beside its data and not in a
clone. Both are kept: a second session on the same machine finds its images. runc is the one of this machine, since that
of Debian 13 wants a newer libc.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from builder.adapters.engine.client import connect_engine
from builder.errors import DevboxError
from tests.engine.debian_13 import fetch_packages
from tests.engine.second_engine import NETWORKS, SecondEngine, copy_bases, lock_engines

FOLDER: Final = Path(os.environ.get("DEVBOX_ENGINE_DIR", "/var/lib"), "devbox-engine-26")


def find_engine_26() -> SecondEngine:
    return SecondEngine(name="devbox-26", network=NETWORKS[-1], data=FOLDER / "data", programs=FOLDER / "programs")


def start_engine_26() -> SecondEngine:
    """Make sure that it runs, with the bases that the other engine has: to bootstrap one takes much longer."""
    engine = find_engine_26()
    with lock_engines():
        if not engine.is_running():
            fetch_packages(FOLDER / "programs", "docker.io", "containerd")
            engine.start()
    copy_bases(connect_engine(os.environ), engine.host)
    return engine


def main(word: str) -> None:
    """start, stop, or address: what DOCKER_HOST has to be for it."""
    try:
        match word:
            case "start":
                sys.stderr.write(f"engine-26: ready at {start_engine_26().host}\n")
            case "stop":
                with lock_engines():
                    find_engine_26().remove()
            case "address":
                sys.stdout.write(f"{find_engine_26().host}\n")
            case _:
                sys.exit("say start, stop or address")
    except DevboxError as error:
        sys.exit(f"engine-26: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
