"""`python -m bench.compare BASE`: this tree against another commit, on one machine, in turns; exit code 1 when worse.

Each side runs the `builder` of its own tree with this interpreter, in a workspace and with secrets of its own. What was
made for it (a worktree, workstations, images) is gone afterwards, also when it is interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Final

from bench.figures import ratio_interval, take_seconds
from bench.painted import watch
from bench.recipe import Recipe, api, recipe_of, running
from bench.stand import LONG_S, CommandFailed, Workstation, image_tags, make_environment, remove_images, run
from bench.starts import wait_idle
from builder.errors import DevboxError

HEAD: Final = ("figure", "base", "this", "ratio", "90 % of ratios", "tolerance", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Samples of both sides. Worse is what exceeds the tolerance by more than the noise explains."""

    name: str
    unit: str
    base: tuple[float, ...]
    this: tuple[float, ...]
    tolerance: float

    @property
    def verdict(self) -> str:
        low, _, high = ratio_interval(self.this, self.base)
        if low > self.tolerance:
            return "worse"
        return "better" if high < 1 / self.tolerance else "same"

    def cells(self) -> tuple[str, ...]:
        low, ratio, high = ratio_interval(self.this, self.base)
        medians = (sorted(values)[len(values) // 2] for values in (self.base, self.this))
        amounts = (f"{value:.2f} {self.unit}" for value in medians)
        return (self.name, *amounts, f"{ratio:.2f}", f"{low:.2f}-{high:.2f}", f"{self.tolerance:.2f}", self.verdict)


@dataclass
class Side:
    """One tree, and the workstation that it made."""

    workstation: Workstation

    def devbox(self, *arguments: str) -> float:
        return take_seconds(lambda: self.workstation.devbox(*arguments))

    @cached_property
    def recipe(self) -> Recipe:
        return recipe_of(self.workstation.container, self.workstation.devbox("password").stdout.strip())

    def up_again(self) -> float:
        self.workstation.devbox("down")
        return self.devbox("up")

    def start(self) -> float:
        with running(self.recipe) as container:
            return watch(container).painted

    def idle(self) -> tuple[float, float]:
        """CPU seconds until idle, and the resident memory then."""
        with running(self.recipe) as container:
            return wait_idle(container), container.resident_mb()

    def size(self) -> float:
        image = str(self.workstation.status()["image"])
        return float(api().inspect_image(image)["Size"]) / 1e6  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What is compared: samples of one or more figures at a time, and how much worse each may be."""

    take: Callable[[Side], tuple[float, ...]]
    figures: tuple[tuple[str, str, float], ...]  # name, unit, tolerance
    once: bool = False  # it does not vary


PROBES: Final[Mapping[str, Probe]] = {
    "help": Probe(take=lambda side: (side.devbox("--help"),), figures=(("--help", "s", 1.10),)),
    "status": Probe(take=lambda side: (side.devbox("status"),), figures=(("status", "s", 1.10),)),
    "noop": Probe(take=lambda side: (side.devbox("up"),), figures=(("up, nothing to do", "s", 1.10),)),
    "up": Probe(take=lambda side: (side.up_again(),), figures=(("up, image there", "s", 1.10),)),
    "start": Probe(take=lambda side: (side.start(),), figures=(("create to painted", "s", 1.10),)),
    "idle": Probe(take=lambda side: side.idle(), figures=(("CPU until idle", "s", 1.10), ("idle memory", "MB", 1.05))),
    "size": Probe(take=lambda side: (side.size(),), figures=(("image", "MB", 1.01),), once=True),
}


def main() -> int:
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="devbox-compare-") as name, ExitStack() as stack:
        folder = Path(name)
        tree = stack.enter_context(_worktree(options.base, folder / "base-tree"))
        base = stack.enter_context(_side("base", tree, folder))
        this = stack.enter_context(_side("this", Path.cwd(), folder))
        found = [item for name in options.only for item in _compare(PROBES[name], base, this, options)]
    print(_render(found))
    return 1 if any(item.verdict == "worse" for item in found) else 0


def _compare(probe: Probe, base: Side, this: Side, options: argparse.Namespace) -> Iterator[Comparison]:
    samples: dict[str, list[tuple[float, ...]]] = {"base": [], "this": []}
    rounds = 1 if probe.once else options.rounds
    print(f"comparing {', '.join(name for name, _, _ in probe.figures)}", file=sys.stderr, flush=True)
    for number in range(rounds):
        sides = [("base", base), ("this", this)]
        for name, side in sides if number % 2 == 0 else reversed(sides):
            samples[name].append(probe.take(side))
    for index, (name, unit, tolerance) in enumerate(probe.figures):
        yield Comparison(
            name=name,
            unit=unit,
            base=tuple(sample[index] for sample in samples["base"]),
            this=tuple(sample[index] for sample in samples["this"]),
            tolerance=options.tolerance or tolerance,
        )


@contextmanager
def _worktree(revision: str, folder: Path) -> Iterator[Path]:
    run(["git", "worktree", "add", "--detach", "--quiet", str(folder), revision], os.environ)
    try:
        yield folder
    finally:
        # What Python compiled there is not the tree's: hence the force.
        run(["git", "worktree", "remove", "--force", str(folder)], os.environ)


@contextmanager
def _side(name: str, tree: Path, folder: Path) -> Iterator[Side]:
    """The image of this tree, and a workstation of it that is healthy."""
    workspace = folder / f"compare-{os.getpid()}-{name}"
    workspace.mkdir()
    environment = make_environment(folder / name, PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE="")
    workstation = Workstation(
        folder=workspace, environment=environment, program=(sys.executable, "-m", "builder"), cwd=workspace
    )
    before = image_tags()
    workstation.write()
    print(f"making the image of {name}", file=sys.stderr, flush=True)
    try:
        workstation.devbox("up")
        workstation.wait_healthy()
        yield Side(workstation=workstation)
    finally:
        _take_away(workstation)
        remove_images((image_tags() - before) & _made(workstation))


def _take_away(workstation: Workstation) -> None:
    """Also of a side that never came up, which knows no image to tell."""
    argv = [*workstation.program, "-C", str(workstation.folder), "down", "--volumes", "--yes"]
    environment = dict(workstation.environment)
    subprocess.run(argv, env=environment, cwd=workstation.cwd, capture_output=True, timeout=LONG_S, check=False)


def _made(workstation: Workstation) -> set[str]:
    """The image of its plan, and the base below it."""
    plan = json.loads(workstation.devbox("plan", "--json").stdout)
    base = plan["base"]
    return {plan["image"], *workstation.images, base["reference"] if isinstance(base, dict) else str(base)}


def _render(found: list[Comparison]) -> str:
    rows = [HEAD, *(item.cells() for item in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="the commit to compare this tree with")
    parser.add_argument("--only", default=",".join(PROBES), help=f"some of {', '.join(PROBES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="samples of each side")
    parser.add_argument("--tolerance", type=float, help="ratio that is still the same, in place of each figure's own")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in PROBES]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PROBES)}")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (CommandFailed, DevboxError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
