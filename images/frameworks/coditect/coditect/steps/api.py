"""`run_steps`: checks steps that a program made, and runs them."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from coditect.errors import UsageError
from coditect.steps.cores import count_cores
from coditect.steps.graph import find_faults
from coditect.steps.model import NAME, NAME_RULE, Report, Step
from coditect.steps.runner import GRACE_S, Rules, Runner
from coditect.steps.summary import describe_failures
from coditect.steps.watcher import Watcher


def run_steps(
    steps: Sequence[Step],
    *,
    jobs: int | None = None,
    keep_going: bool = False,
    output: Path | None = None,
    check: bool = True,
    grace: float = GRACE_S,
    watcher: Watcher | None = None,
) -> Report:
    """Run each step once after what it needs, at most `jobs` at once (default: the processors we may use).

    `output`: folder for the logs, else a new temporary one. `grace`: seconds between SIGTERM and SIGKILL for what has
    to end early. Raises UsageError for steps that make no sense, StepsFailedError when one failed and `check` is set.
    SIGINT, SIGTERM and SIGHUP end all steps first, then do what they would have done without us (KeyboardInterrupt).
    """
    check_steps(steps)
    folder = output or Path(tempfile.mkdtemp(prefix="coditect-run-"))
    folder.mkdir(parents=True, exist_ok=True)
    rules = Rules(jobs or count_cores(), folder.absolute(), keep_going, grace)
    report = Runner(steps, rules, watcher or Watcher()).run()
    if report.signal is not None:
        signal.raise_signal(report.signal)
    if check and report.failures:
        raise describe_failures(report)
    return report


def check_steps(steps: Sequence[Step]) -> None:
    """Raises UsageError with everything that is wrong."""
    needs = {step.name: step.needs for step in steps}
    wrong = [f"step {name!r}: a name is made of {NAME_RULE}" for name in needs if not NAME.fullmatch(name)]
    names = [step.name for step in steps]
    wrong += [f"step {name!r} is there {names.count(name)} times" for name in needs if names.count(name) > 1]
    wrong += [f"step {step.name!r}: there is nothing to run" for step in steps if not step.run]
    wrong += [fault.text for fault in find_faults(needs)]
    if wrong:
        raise UsageError("\n  ".join([f"{len(wrong)} problems", *wrong]) if len(wrong) > 1 else wrong[0])
