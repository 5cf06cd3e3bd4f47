"""`coditect run` measured: an example of 12 s against its longest chain, and what a step costs that does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from bench.figures import Figure, take_turns

PACKAGE: Final = Path(__file__).parents[1] / "images" / "frameworks" / "coditect"

# Twelve seconds one after the other, unscaled. Longest chain: checkout, build, test, report: 5 s.
EXAMPLE: Final[Mapping[str, tuple[float, tuple[str, ...]]]] = {
    "checkout": (0.5, ()),
    "lint": (1.5, ("checkout",)),
    "types": (2.0, ("checkout",)),
    "build": (2.0, ("checkout",)),
    "docs": (2.0, ("checkout",)),
    "audit": (1.5, ()),
    "test": (2.0, ("build",)),
    "report": (0.5, ("test", "lint", "types", "docs")),
}
CHAIN_S: Final = 5.0
# Sleeping needs no processor: enough workers, so that the graph is the only limit.
EXAMPLE_JOBS: Final = 4

TRIVIAL: Final = 200
TRIVIAL_JOBS: Final = 2
GOAL_STEP_S: Final = 0.030
GOAL_EXAMPLE_S: Final = CHAIN_S + 4 * GOAL_STEP_S + 0.25  # four steps in the chain, and the start of the command


def measure_steps(pair: object, rounds: int) -> list[Figure]:
    """Needs no workstation; takes a pair as every measure does."""
    return [*measure_example(max(1, rounds // 3)), *measure_overhead(rounds)]


def measure_example(rounds: int) -> list[Figure]:
    """Wall time of the whole command, next to the same commands one after the other."""
    with tempfile.TemporaryDirectory(prefix="devbox-bench-") as folder:
        tasks = Path(folder) / "tasks.yaml"
        steps = {name: {"run": ["sleep", str(s)], "needs": list(needs)} for name, (s, needs) in EXAMPLE.items()}
        tasks.write_text(yaml.safe_dump({"steps": steps}, sort_keys=False))
        seconds = take_turns(
            rounds,
            {
                "ours": lambda: _coditect(tasks, EXAMPLE_JOBS),
                "sequential": lambda: [subprocess.run(["sleep", str(s)], check=True) for s, _ in EXAMPLE.values()],
            },
        )
    return [
        Figure(
            name="steps-example", what=f"`coditect run`, 12 s of steps with a longest chain of {CHAIN_S:g} s", unit="s",
            values=seconds["ours"], target=GOAL_EXAMPLE_S,
            baseline="the same commands one after the other", baseline_values=seconds["sequential"],
        )
    ]  # fmt: skip


def measure_overhead(rounds: int) -> list[Figure]:
    """200 times `true`: seconds for each, everything included, and only what is added to a loop of subprocess.run."""
    with tempfile.TemporaryDirectory(prefix="devbox-bench-") as folder:
        tasks = Path(folder) / "tasks.yaml"
        tasks.write_text(yaml.safe_dump({"steps": {f"s{n}": {"run": ["true"]} for n in range(TRIVIAL)}}))
        chain = Path(folder) / "chain.yaml"
        links = {f"s{n}": {"run": ["true"], "needs": [f"s{n - 1}"] if n else []} for n in range(TRIVIAL)}
        chain.write_text(yaml.safe_dump({"steps": links}))
        seconds = take_turns(
            rounds,
            {
                "ours": lambda: _coditect(tasks, TRIVIAL_JOBS),
                "chain": lambda: _coditect(chain, TRIVIAL_JOBS),
                "xargs": lambda: _xargs(TRIVIAL_JOBS),
                "loop": _loop,
            },
        )
    return [
        _per_step("steps-overhead", f"step that does nothing, {TRIVIAL} of them, {TRIVIAL_JOBS} at once, whole command",
                  seconds["ours"], f"`xargs -P{TRIVIAL_JOBS}`", seconds["xargs"]),
        _per_step("steps-chain", f"step that does nothing, {TRIVIAL} in a row, whole command",
                  seconds["chain"], "a loop of subprocess.run, without the start of Python", seconds["loop"]),
    ]  # fmt: skip


def _per_step(name: str, what: str, values: tuple[float, ...], baseline: str, others: tuple[float, ...]) -> Figure:
    return Figure(
        name=name, what=what, unit="s", values=tuple(value / TRIVIAL for value in values), target=GOAL_STEP_S,
        baseline=baseline, baseline_values=tuple(value / TRIVIAL for value in others),
    )  # fmt: skip


def _coditect(tasks: Path, jobs: int) -> None:
    words = ["-m", "coditect", "run", str(tasks), f"--jobs={jobs}", "--log=quiet", f"--output={tasks.parent / 'logs'}"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    subprocess.run([sys.executable, *words], env=environment, check=True)


def _xargs(jobs: int) -> None:
    lines = "x\n" * TRIVIAL
    subprocess.run(["xargs", "-n1", f"-P{jobs}", "true"], input=lines, text=True, check=True)


def _loop() -> None:
    for _ in range(TRIVIAL):
        subprocess.run(["true"], check=True)


def main() -> None:
    """These figures alone: `python -m bench.framework_steps`."""
    for figure in [*measure_overhead(7), *measure_example(3)]:
        print(f"{figure.name}: median {figure.median:.4f} s, best {min(figure.values):.4f} s, target {figure.target} s")
        print(f"  {figure.baseline}: {figure.baseline_median:.4f} s, ratio {figure.ratio:.2f}")


if __name__ == "__main__":
    main()
