"""What can happen at one request to the real engine: the words for the traps of `relay`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.engine.faults.model import Make, Trouble
from tests.engine.relay import Act, Trap, cut, relay

if TYPE_CHECKING:
    from tests.engine.faults.scene import Scene

CREATE = r"POST /containers/create"
START = r"POST /containers/[^/]+/start"
LIST = r"GET /containers/json"
EXEC = r"POST /exec/[^/]+/start"
VERSION = r"GET /version"
BUILD = r"POST /build\?(?!.*t=devbox%2Fquestion)"  # of the image: no question, and no head start
DEAF_S = 100  # longer than devbox waits for any answer


class Always(Trap):
    """Springs at every request that matches, since what is asked twice would be answered the second time."""

    def catches(self, request: str) -> bool:
        return re.match(self.request, request) is not None


def answer(status: int, text: str, *, length: int | None = None) -> Act:
    """In the engine's place; with a `length` that is not the text's the answer ends in the middle."""
    size = len(text.encode()) if length is None else length
    head = f"HTTP/1.1 {status} Meddled\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {size}"
    return lambda: f"{head}\r\n\r\n{text}".encode()


def silence() -> bytes:
    """Nothing comes until the other side has given up."""
    threading.Event().wait(DEAF_S)
    return b""


def cut_after(happens: Callable[[], object]) -> Act:
    """The line breaks once that is through."""

    def act() -> bytes:
        happens()
        return b""

    return act


def meanwhile(happens: Callable[[], object]) -> Act:
    """Something happens, and all goes on."""

    def act() -> None:
        happens()

    return act


@contextmanager
def through(trap: Trap, scene: Scene) -> Iterator[Trouble]:
    """The real engine behind a trap. That somebody ran into it is part of the fault: else there was none."""
    with relay(scene.folder, str(scene.engine.host.socket), trap) as door:
        yield Trouble(environment={"DOCKER_HOST": door.host})
    assert door.asked(trap.request), f"nobody asked {trap.request}"


def at(request: str, act: Act = cut, *, always: bool = False) -> Make:
    """A fault that is all in one request."""
    kind = Always if always else Trap
    return lambda scene: through(kind(request=request, act=act), scene)
