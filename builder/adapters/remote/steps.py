"""The sub-steps on the way to an engine on another machine: each has a name, a deadline, and says where it failed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from builder.adapters import clock
from builder.errors import HostError

T = TypeVar("T")

# In the order in which they come. Seconds; a person who is asked may take longer.
DEADLINES: Final = {
    "resolve": 10.0,
    "connect": 10.0,
    "host key": 15.0,
    "login": 30.0,
    "agent": 5.0,  # to say which keys it holds: a part of the login
    "shell": 15.0,
    "engine socket": 15.0,
    "permission": 15.0,
    "disk": 15.0,
    "architecture": 15.0,
    "engine": 10.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubStep:
    """One that is done."""

    name: str  # resolve, connect, host key ...; those of a jump host have its name before them
    detail: str  # what was found
    seconds: float  # that it took
    warning: str = ""  # what is wrong with it, though one can go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that only the person knows; a `secret` is not shown while it is typed."""

    text: str
    secret: bool = False


OnStep = Callable[[SubStep], None]
Ask = Callable[[Question], "str | None"]  # None: nobody is there to answer


class StepError(HostError):
    """A sub-step failed. `lasting`: the same try will end the same way, until somebody does something."""

    def __init__(
        self, step: str, message: str, *, where: str, hint: str, lasting: bool = True, detail: str | None = None
    ) -> None:
        super().__init__(f"{step}: {message}", where=where, hint=hint, detail=detail)
        self.step = step
        self.lasting = lasting


@dataclass(slots=True)
class Note:
    """What a step found, to be filled in while it is done."""

    detail: str = ""
    warning: str = ""


@contextmanager
def step(name: str, on_step: OnStep) -> Iterator[Note]:
    began, note = clock.monotonic(), Note()
    yield note
    on_step(SubStep(name=name, detail=note.detail, seconds=clock.monotonic() - began, warning=note.warning))


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises; TimeoutError after `seconds`, while it goes on in vain. For calls that have no
    deadline of their own."""
    answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(), None))
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
