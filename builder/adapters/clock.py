"""Time: the monotonic clock, and the only loop of devbox that waits.

Must not know what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from builder.errors import NotReadyError

T = TypeVar("T")
HINT: Final = "`devbox logs` shows what the workstation said; a busy machine may need a second try"


def monotonic() -> float:
    """Seconds since some moment; only differences mean something."""
    return time.monotonic()


def wait_for(
    what: str,
    probe: Callable[[], T | None],
    *,
    deadline_s: float,
    interval_s: float,
    why: Callable[[], str] | None = None,
) -> T:
    """Ask `probe` every `interval_s` until it returns something that is not None, and return that.

    Raises NotReadyError naming `what` and the time after `deadline_s`; `why`, asked once then, adds the likely cause or
    the tail of a log. The probe is asked at least once, and once more when the time is up.
    """
    began = monotonic()
    while True:
        left = began + deadline_s - monotonic()
        if (answer := probe()) is not None:
            return answer
        if left <= 0:
            raise NotReadyError(f"waited {deadline_s:g} s for {what}", detail=why() if why else None, hint=HINT)
        time.sleep(min(interval_s, left))
