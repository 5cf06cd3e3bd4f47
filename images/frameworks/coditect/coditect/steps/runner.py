"""Runs steps: starts what may start, waits for whatever comes first, decides what a failure means for the others.

One thread and one selector: output, exits, signals and deadlines meet in `_loop`. Nothing outside of it waits.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coditect.errors import CoditectError
from coditect.steps.attempt import Attempt
from coditect.steps.graph import longest_chain
from coditect.steps.model import Report, State, Step, StepResult
from coditect.steps.output import Log, last_lines
from coditect.steps.processes import MARK
from coditect.steps.schedule import Schedule
from coditect.steps.signals import SignalWatch
from coditect.steps.watcher import Progress, Running, Watcher

GRACE_S: Final = 5.0  # between SIGTERM and SIGKILL
LONGEST_BACKOFF_S: Final = 60.0


@dataclass
class _Course:
    """The way of one step through its attempts."""

    step: Step
    log: Log
    began: float
    attempts: int = 0
    attempt: Attempt | None = None
    resume_at: float = math.inf  # when the next attempt is due
    reason: str = ""  # of the last failure


@dataclass(frozen=True)
class Rules:
    """How to run. `output`: the folder of the logs, which exists."""

    jobs: int
    output: Path
    keep_going: bool = False
    grace: float = GRACE_S


class Runner:
    """One run of checked steps. `run` may be called once."""

    def __init__(self, steps: Sequence[Step], rules: Rules, watcher: Watcher) -> None:
        self._steps, self._rules, self._watcher = steps, rules, watcher
        self._schedule = Schedule(steps)
        self._running: dict[str, _Course] = {}
        self._delayed: dict[str, _Course] = {}
        self._results: dict[str, StepResult] = {}
        self._stopped = ""  # why nothing new starts
        self._signal: int | None = None
        self._next_tick = -math.inf
        outer = os.environ.get(MARK)
        self._mark = (f"{outer}:" if outer else "") + os.urandom(8).hex()

    def run(self) -> Report:
        self._began = time.monotonic()
        with SignalWatch() as self._signals, selectors.DefaultSelector() as self._selector:
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signal)
            try:
                self._loop()
            finally:
                self._watcher.close()
                self._break_off()
        return self._report()

    def _loop(self) -> None:
        while True:
            self._start_ready()
            if not self._running and not self._delayed:
                return
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._look_after()

    def _start_ready(self) -> None:
        while not self._stopped and len(self._running) < self._rules.jobs and (step := self._schedule.take()):
            course = self._delayed.pop(step.name, None) or self._open_course(step)
            course.resume_at = math.inf
            self._start(course)

    def _open_course(self, step: Step) -> _Course:
        path = self._rules.output / f"{step.name}.log"
        try:
            return _Course(step, Log(path), time.monotonic())
        except OSError as error:
            raise CoditectError(f"the output cannot be kept: {error.strerror}", where=str(path)) from error

    def _start(self, course: _Course) -> None:
        step = course.step
        course.attempts += 1
        if course.attempts > 1:
            course.log.note(f"attempt {course.attempts} of {step.retries + 1}")
        mark = f"{self._mark}/{step.name}"
        env = {
            **os.environ,
            "CODITECT_ATTEMPT": str(course.attempts),
            **step.env,
            "CODITECT_STEP": step.name,
            MARK: mark,
        }
        self._watcher.started(step.name, course.attempts)
        try:
            course.attempt = Attempt(step, course.log, env, mark, self._rules.grace, self._selector)
        except OSError as error:
            subject = f": {error.filename}" if error.filename else ""
            course.reason = f"cannot be started: {error.strerror}{subject}"
            self._conclude(course, State.FAILED, None)  # once more would not help
        else:
            self._running[step.name] = course

    def _patience(self) -> float | None:
        """Seconds until something is due; None when nothing is."""
        due = min(
            [self._next_tick if self._watcher.interval < math.inf else math.inf]
            + [course.attempt.due for course in self._running.values() if course.attempt]
            + [course.resume_at for course in self._delayed.values()]
        )
        return None if due == math.inf else max(0.0, due - time.monotonic())

    def _look_after(self) -> None:
        now = time.monotonic()
        for course in list(self._running.values()):
            attempt = course.attempt
            if attempt and not attempt.finished and attempt.due <= now:
                attempt.tick()
            if attempt and attempt.finished:
                self._end_attempt(course, attempt)
        for course in self._delayed.values():
            if course.resume_at <= now:
                course.resume_at = math.inf
                self._schedule.give_back(course.step)
        if now >= self._next_tick:
            self._next_tick = now + self._watcher.interval
            self._watcher.tick(self._progress)

    def _end_attempt(self, course: _Course, attempt: Attempt) -> None:
        del self._running[course.step.name]
        course.attempt = None
        course.reason = attempt.reason if attempt.failed else ""
        state = attempt.forced or (State.FAILED if attempt.failed else State.DONE)
        retry = state in (State.FAILED, State.TIMED_OUT) and course.attempts <= course.step.retries
        if retry and not self._stopped:
            wait = min(LONGEST_BACKOFF_S, course.step.backoff * 2 ** (course.attempts - 1))
            course.resume_at = time.monotonic() + wait
            self._delayed[course.step.name] = course
            self._watcher.retrying(course.step.name, course.reason, wait)
        else:
            self._conclude(course, state, None if attempt.forced else attempt.code)

    def _conclude(self, course: _Course, state: State, code: int | None) -> None:
        course.log.close()
        step, now = course.step, time.monotonic()
        bad = state is not State.DONE
        result = StepResult(
            step.name, state, code, course.attempts, course.began - self._began, now - course.began,
            course.log.path, course.reason if bad else "", bad and step.allow_failure,
        )  # fmt: skip
        self._results[step.name] = result
        self._watcher.ended(result)
        if state is State.DONE or result.allowed:
            self._schedule.succeed(step.name)
        elif result.failed and not self._rules.keep_going:
            self._stop(f"{step.name!r} failed")

    def _stop(self, reason: str) -> None:
        """Nothing new starts, what runs is ended."""
        if self._stopped:
            return
        self._stopped = f"the run was stopped: {reason}"
        self._watcher.stopping(reason)
        for course in list(self._running.values()):
            if course.attempt:
                course.attempt.end(State.STOPPED)
        delayed, self._delayed = self._delayed, {}
        for course in delayed.values():
            self._conclude(course, State.FAILED, None)

    def _on_signal(self) -> None:
        """The first signal asks all steps to end, the second one kills them."""
        self._signals.drain()
        for signum in self._signals.received:
            if self._signal is None:
                self._signal = signum
                self._stop(signal.Signals(signum).name)
            else:
                self._kill_all()
        self._signals.received.clear()

    def _kill_all(self) -> None:
        for course in self._running.values():
            if course.attempt:
                course.attempt.kill()

    def _break_off(self) -> None:
        """After an error of our own: nothing that was started may go on running."""
        if self._running:
            self._watcher = Watcher()
            self._stop("an error")
            self._kill_all()
            self._loop()

    def _progress(self) -> Progress:
        results = self._results.values()
        failed = tuple(result.name for result in results if result.failed)
        return Progress(
            total=len(self._steps),
            seconds=time.monotonic() - self._began,
            running=tuple(map(_describe, [*self._running.values(), *self._delayed.values()])),
            done=len(results) - len(failed),
            failed=failed,
            stopping=self._stopped,
        )

    def _report(self) -> Report:
        seconds = time.monotonic() - self._began
        skipped = self._schedule.skip_rest(self._results, self._stopped)
        results = {**self._results, **{result.name: result for result in skipped}}
        ordered = {step.name: results[step.name] for step in self._steps}
        took = {name: result.seconds for name, result in ordered.items()}
        chain_seconds, chain = longest_chain({step.name: step.needs for step in self._steps}, took)
        return Report(ordered, seconds, chain, chain_seconds, self._rules.jobs, self._signal)


def _describe(course: _Course) -> Running:
    lines = last_lines(course.log.tail, 1)
    return Running(
        name=course.step.name,
        seconds=time.monotonic() - (course.attempt.started if course.attempt else course.began),
        attempt=course.attempts,
        attempts=course.step.retries + 1,
        last_line=course.reason if course.attempt is None else "".join(lines),
        waits=course.attempt is None,
    )
