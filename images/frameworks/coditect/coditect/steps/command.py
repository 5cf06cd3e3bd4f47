"""`coditect run TASKS.yaml`: runs the steps of a task file, shows them, and reports."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coditect.errors import CoditectError, UsageError
from coditect.steps.cores import count_cores
from coditect.steps.graph import closure, count_levels, nearest
from coditect.steps.runner import Rules, Runner
from coditect.steps.summary import describe_failures, describe_rest, describe_time
from coditect.steps.taskfile import SHELL, load_tasks
from coditect.steps.watchers import MODES, choose_watcher

if TYPE_CHECKING:
    from coditect.steps.model import Report, Step

RUNS_KEPT: Final = 10  # of one task file, without --output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tasks", metavar="TASKS.yaml", type=Path, help="the task file")
    parser.add_argument("steps", metavar="STEP", nargs="*", help="only these steps, and what they need")
    parser.add_argument("--jobs", "-j", type=_positive, metavar="N", help="steps at once (default: processors)")
    parser.add_argument("--keep-going", "-k", action="store_true", help="a failure stops only what needs the step")
    parser.add_argument("--json", metavar="FILE", help="write a report as JSON; - is stdout")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the output, one STEP.log each")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would run, in which order")
    parser.add_argument("--log", choices=MODES, default="auto", help="how to show the run (default: auto)")


def run(options: argparse.Namespace) -> int:
    tasks = load_tasks(options.tasks)
    steps = _select(tasks.steps, options.steps)
    if options.dry_run:
        _print_plan(steps, as_json=options.json is not None)
        return 0
    watcher = choose_watcher(options.log, sys.stderr, os.environ)
    folder = _make_folder(options.output, options.tasks, os.environ)
    rules = Rules(options.jobs or tasks.jobs or count_cores(), folder, options.keep_going)
    report = Runner(steps, rules, watcher).run()
    if options.json is not None:
        _write_json(options.json, report)
    return _conclude(report, options)


def _conclude(report: Report, options: argparse.Namespace) -> int:
    """Say how it went. Raises StepsFailedError."""
    if not (options.log == "quiet" and report.ok):
        for line in describe_rest(report):
            print(line, file=sys.stderr)
        print(describe_time(report), file=sys.stderr)
    if report.signal is not None:
        print(f"interrupted by {signal.Signals(report.signal).name}", file=sys.stderr)
        return 128 + report.signal
    if report.failures:
        raise describe_failures(report, where=str(options.tasks))
    return 0


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"a whole number from 1 is expected, not {text}")
    return int(text)


def _select(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The named steps and what they need, in the order of the file. Raises UsageError."""
    needs = {step.name: step.needs for step in steps}
    for name in names:
        if name not in needs:
            raise UsageError(f"there is no step {name!r}{nearest(name, needs)}", hint="--dry-run lists the steps")
    chosen = closure(needs, names or needs)
    return [step for step in steps if step.name in chosen]


def _make_folder(given: Path | None, tasks: Path, environment: Mapping[str, str]) -> Path:
    """The folder for the output: the given one, else a new one below the user's state folder (XDG)."""
    folder = given.absolute() if given else _new_run_folder(tasks.resolve(), environment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CoditectError(f"the folder cannot be made: {error.strerror}", where=str(folder)) from error
    return folder


def _new_run_folder(tasks: Path, environment: Mapping[str, str]) -> Path:
    """A name of its own for each run; the oldest runs of the same task file go."""
    state = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    digest = hashlib.sha256(str(tasks).encode()).hexdigest()[:8]
    runs = state / "coditect" / "runs" / f"{tasks.stem}-{digest}"
    for old in sorted(runs.glob("*"))[: -RUNS_KEPT + 1]:
        shutil.rmtree(old, ignore_errors=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    return runs / f"{now:%Y%m%d-%H%M%S-%f}-{os.getpid()}"


def _write_json(target: str, report: Report) -> None:
    text = json.dumps(report.as_dict(), indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    path = Path(target)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        raise CoditectError(f"the report cannot be written: {error.strerror}", where=target) from error


def _print_plan(steps: Sequence[Step], *, as_json: bool) -> None:
    """The steps by how many stand before them in a row: those with the same number may run at once."""
    levels = count_levels({step.name: step.needs for step in steps})
    ordered = sorted(steps, key=lambda step: levels[step.name])
    if as_json:
        plan = [{"step": step.name, "level": levels[step.name] + 1, "needs": list(step.needs)} for step in ordered]
        print(json.dumps(plan, indent=2))
        return
    width = max(len(step.name) for step in steps)
    for step in ordered:
        needs = f"  (after {', '.join(step.needs)})" if step.needs else ""
        print(f"{levels[step.name] + 1:3}  {step.name:{width}}  {_show_command(step)}{needs}")


def _show_command(step: Step) -> str:
    """One line of it."""
    if callable(step.run):
        return "a function"
    if tuple(step.run[: len(SHELL)]) == SHELL:
        first, *more = step.run[-1].strip().split("\n")
        return f"{first} ..." if more else first
    return shlex.join(step.run)
