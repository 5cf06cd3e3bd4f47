"""Waits until a person can use the desktop, and says why it does not come to that.

Owns the reading of what the probe inside says. Must not start or stop anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from builder.errors import EngineError, LostEngineError, NotReadyError
from builder.model import Note, PhaseReached

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Engine

PROBE: Final = "/usr/lib/devbox/probe"
READY_DEADLINE_S: Final = 120
ENDS_S: Final = 15
LOG_TAIL: Final = 15


def wait_ready(context: Context, container: str, *, called: str | None = None, aloud: bool = True) -> dict[str, float]:
    """Wait until a person can use the desktop; seconds per phase after the container's start.

    `aloud` tells them as they come, and what was done at the start: for who started it. `called` is its name in an
    error, where `container` is none. The probe inside has a deadline for each phase; ours is the last resort against a
    probe that hangs.
    """
    phases: dict[str, float] = {}
    failures: list[dict[str, object]] = []
    for line in _follow_probe(context, container):
        message = _parse_message(line)
        if message is None:
            continue
        if "failed" in message:
            failures.append(message)
        elif "note" in message:
            if aloud or message.get("of") != "start":
                context.report(Note(text=str(message["note"])))
        elif message.get("ready"):
            return phases
        elif message["phase"] not in phases:
            phases[message["phase"]] = message["seconds"]
            if aloud:
                context.report(PhaseReached(phase=message["phase"], seconds=message["seconds"]))
    raise _not_ready(context, container, called or container, failures)


def _follow_probe(context: Context, container: str) -> Iterator[bytes]:
    """The lines of the probe. It cannot be run in a container that has just ended: then there are none."""
    engine = context.engine()
    try:
        yield from engine.run_stream(container, [PROBE, "wait", "--timeout", str(READY_DEADLINE_S)])
    except LostEngineError:
        raise  # that tells nothing of the container
    except EngineError:
        if not _ends(engine, container):
            raise


def _ends(engine: Engine, container: str) -> bool:
    """Whether it comes to its end: one whose init gives up is started again a few times, for some seconds."""
    try:
        engine.wait(container, timeout_s=ENDS_S)
    except EngineError:
        return False
    return True


def _parse_message(line: bytes) -> dict[str, Any] | None:
    """A line of the probe; None for what the engine says itself there when the container ends under the probe."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _not_ready(context: Context, container: str, called: str, failures: list[dict[str, object]]) -> NotReadyError:
    if not failures:
        last = b"\n".join(context.engine().logs(container, follow=False, tail=LOG_TAIL))
        return NotReadyError(
            f"{called} ended before it was ready",
            detail=last.decode(errors="replace"),
            hint="`devbox logs` shows what it said; `devbox doctor` looks at the host",
        )
    words = [f"{item['phase']}: {item['failed']}" for item in failures]
    tail = [str(line) for item in failures for line in _lines(item.get("log"))]
    return NotReadyError(
        f"{called} runs, but cannot be used: {'; '.join(words)}",
        detail="\n".join(tail),
        hint="`devbox logs` shows all of it; `devbox up --recreate` starts it afresh and keeps the volumes",
    )


def _lines(log: object) -> list[object]:
    return list(log) if isinstance(log, list) else []
