"""Steps that depend on each other, run at once where they can: the API behind `coditect run`.

from coditect.steps import Step, run_steps

report = run_steps([
    Step("fetch", ["git", "fetch"], timeout=60, retries=2),
    Step("check", ["make", "check"], needs=["fetch"]),
    Step("count", lambda: print(42)),
])
"""

from __future__ import annotations

from coditect.steps.api import run_steps
from coditect.steps.model import Report, State, Step, StepResult
from coditect.steps.taskfile import load_tasks

__all__ = ["Report", "State", "Step", "StepResult", "load_tasks", "run_steps"]
