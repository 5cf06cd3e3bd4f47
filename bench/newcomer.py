"""A new user's path: from nothing but a running engine to a painted desktop, by the two commands that README says."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cold import empty_engine
from bench.figures import Figure, make_figure, take_seconds
from bench.stand import make_environment, run

if TYPE_CHECKING:
    from bench.pair import Pair

ROOT: Final = Path(__file__).resolve().parents[1]
BY_HAND_S: Final = 90 * 60.0
ORIGINAL_S: Final = 10 * 60.0
WHAT: Final = "clone and `make up`: no virtual environment, no cache, an empty engine, until painted"
STATED: Final = "as the issue on onboarding states it, not measured here"
OURS: Final = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")  # of the bench itself


def measure_newcomer(pair: Pair, rounds: int) -> list[Figure]:
    """One sample, of what is committed. The engine's own packages are installed already."""
    with empty_engine(pair.stand.folder / "newcomer") as (folder, engine), ExitStack() as stack:
        environment = _bare(folder, engine.host)
        clone = folder / f"bench-{os.getpid()}-newcomer"
        stack.callback(lambda: _take_away(clone, environment))
        print("newcomer: make up in a fresh clone, on an empty engine", file=sys.stderr, flush=True)
        cloned = take_seconds(lambda: run(["git", "clone", "--quiet", str(ROOT), str(clone)], environment))
        up = take_seconds(lambda: run(["make", "up"], environment, clone))
        again = take_seconds(lambda: run(["make", "up"], environment, clone))
    values = (cloned + up,)
    return [
        make_figure("newcomer", WHAT, "s", values, f"a set-up by hand, 90 minutes {STATED}", (BY_HAND_S,)),
        make_figure("newcomer", WHAT, "s", values, f"the original container, 10 minutes {STATED}", (ORIGINAL_S,)),
        make_figure("newcomer-again", "`make up` there once more", "s", (again,)),
    ]


def _bare(folder: Path, host: str) -> dict[str, str]:
    """Nothing that an earlier set-up left: no cache of pip or devbox, no state, no environment of ours."""
    found = make_environment(
        folder, DOCKER_HOST=host, XDG_CACHE_HOME=str(folder / "cache"), PIP_CACHE_DIR=str(folder / "pip")
    )
    return {name: value for name, value in found.items() if name not in OURS}


def _take_away(clone: Path, environment: dict[str, str]) -> None:
    if (devbox := clone / ".venv/bin/devbox").exists():
        run([str(devbox), "-C", str(clone), "down", "--volumes", "--yes"], environment)
