"""One attempt at one step: from the start of its process until everything that it started has ended.

An attempt is driven from outside: the selector calls it when there is output or an exit, the runner calls `tick` when
`due` has come. It never waits by itself.

    running --exit--> lingering --1 s--> ending --grace--> killed --2 s--> given up      (each also --> finished)
    running --timeout, stop--> ending

"Finished" is when the process has ended and its group is empty; after a forced end also what had left the group.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from coditect.steps.durations import show_duration
from coditect.steps.model import State, Step
from coditect.steps.output import CHUNK, Log
from coditect.steps.processes import (
    Child,
    find_marked,
    group_lives,
    open_exit,
    signal_group,
    signal_marked,
    spawn_command,
    spawn_function,
)

# What a step leaves behind has this long to end by itself: `cmd > >(tee file)` does.
LINGER_S: Final = 1.0
# A process that SIGKILL does not end within this hangs in the kernel, or belongs to somebody else.
GIVE_UP_S: Final = 2.0
# The end of a whole group has no event that could be waited for; only asked while one is being ended.
POLL_S: Final = 0.02
# Output that is waiting when everything has ended; more can only come from a daemon that got away with the pipe.
MOST_DRAINED: Final = 2**20


class Attempt:
    def __init__(
        self, step: Step, log: Log, env: Mapping[str, str], mark: str, grace: float, selector: selectors.BaseSelector
    ) -> None:
        """Start it. Raises OSError when that fails."""
        self.step, self.log = step, log
        self.code: int | None = None
        self.forced: State | None = None  # why we ended it
        self.finished = False
        self.abandoned = False  # something of it could not be ended
        self._mark, self._grace, self._selector = mark, grace, selector
        self._pipe, theirs = os.pipe()
        try:
            self._child = _spawn(step, env, theirs)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        self.started = time.monotonic()
        self._timeout_at = self.started + (step.timeout or math.inf)
        self._end_at = self._kill_at = self._give_up_at = self._poll_at = math.inf
        os.set_blocking(self._pipe, False)
        self._exit = open_exit(self._child)
        selector.register(self._pipe, selectors.EVENT_READ, self._on_output)
        selector.register(self._exit, selectors.EVENT_READ, self._on_exit)

    @property
    def due(self) -> float:
        """When `tick` should be called next."""
        return min(self._timeout_at, self._end_at, self._kill_at, self._give_up_at, self._poll_at)

    @property
    def failed(self) -> bool:
        return bool(self.code or self.forced or self.log.error)

    @property
    def reason(self) -> str:
        """Why it failed, for a person."""
        if self.forced is State.TIMED_OUT:
            text = f"timed out after {show_duration(self.step.timeout or 0)}"
        elif self.log.error:
            text = self.log.error
        elif self.forced:
            text = "ended, because the run was stopped"
        elif self.code is not None and self.code < 0:
            text = f"ended by {_signal_name(-self.code)}"
        else:
            text = f"exit code {self.code}"
        return f"{text}; processes of it could not be ended" if self.abandoned else text

    def end(self, why: State) -> None:
        """Ask everything of it to end; after the grace it is killed."""
        if self.forced is None and not self.finished:
            self._force(why)
            self._terminate(time.monotonic())

    def kill(self) -> None:
        """No more grace."""
        if not self.finished:
            self._force(State.STOPPED)
            self._kill(time.monotonic())

    def _force(self, why: State) -> None:
        if self.code is None:  # else it is only what it left behind that we end
            self.forced = self.forced or why

    def tick(self) -> None:
        """Do what the time asks for."""
        now = time.monotonic()
        if now >= self._timeout_at and self.code is None:
            self._timeout_at = math.inf
            self.end(State.TIMED_OUT)
        if now >= self._end_at:
            self._terminate(now)
        if now >= self._kill_at:
            self._kill(now)
        if self.code is not None:
            self._settle(now)
        if now >= self._give_up_at and not self.finished:
            self.abandoned = True
            self._finish()

    def _on_output(self) -> None:
        if not self._read():
            self._close_pipe()
        if self.log.error:
            self.end(State.FAILED)

    def _on_exit(self) -> None:
        self.code = self._child.poll()
        self._close_exit()
        self._timeout_at = math.inf
        now = time.monotonic()
        if self.forced is None:
            self._end_at = now + LINGER_S
        self._poll_at = now  # not settled here: output may be waiting in the same round of the selector

    def _settle(self, now: float) -> None:
        """The process has ended. So has the attempt, when nothing of it is left."""
        if group_lives(self._child.pid) or (self.forced and find_marked(self._mark)):
            self._poll_at = now + POLL_S
        else:
            self._finish()

    def _terminate(self, now: float) -> None:
        self._end_at = math.inf
        self._kill_at = now + self._grace
        self._signal(signal.SIGTERM)

    def _kill(self, now: float) -> None:
        self._end_at = self._kill_at = math.inf
        self._give_up_at = now + GIVE_UP_S
        self._signal(signal.SIGKILL)

    def _signal(self, signum: int) -> None:
        if not (signal_group(self._child.pid, signum) or self.code is not None):
            # A forked function that has no group yet.
            with suppress(ProcessLookupError):
                os.kill(self._child.pid, signum)
        if self.forced:
            signal_marked(self._mark, signum)

    def _read(self) -> int:
        """Bytes read; 0 at the end of the output."""
        data = os.read(self._pipe, CHUNK)
        self.log.write(data)
        return len(data)

    def _finish(self) -> None:
        drained = 0
        with suppress(BlockingIOError):
            while self._pipe >= 0 and drained < MOST_DRAINED and (count := self._read()):
                drained += count
        self._close_pipe()
        self._close_exit()
        self._end_at = self._kill_at = self._give_up_at = self._poll_at = self._timeout_at = math.inf
        self.finished = True

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            self._selector.unregister(self._pipe)
            os.close(self._pipe)
            self._pipe = -1

    def _close_exit(self) -> None:
        if self._exit >= 0:
            self._selector.unregister(self._exit)
            os.close(self._exit)
            self._exit = -1


def _spawn(step: Step, env: Mapping[str, str], output: int) -> Child:
    if callable(step.run):
        return spawn_function(step.run, env, step.cwd, output)
    return spawn_command(step.run, env, step.cwd, output)


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
