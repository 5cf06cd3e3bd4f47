"""A head start for a build: what stands on Debian's packages alone begins while npm is still asked, and before all that
the build is made of is on its way to the engine.

The same instructions as in the build that follows, sent as a build of their own: BuildKit joins what is the same, so
that nothing is done twice, and whatever fails here is met again there, where it is explained. See
docs/decisions/build-speed.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock as Mutex
from typing import TYPE_CHECKING, Final

from builder.errors import DevboxError
from builder.model import BuildEvent
from builder.tasks.packages import name_question

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared

STAGE: Final = "debian"  # of templates/Dockerfile.j2, with all packages
IN_IT: Final = re.compile(r"\[(base|packages|debian)[] ]")  # the vertices of the stages that it takes
OnEvent = Callable[[BuildEvent], None]


@contextmanager
def head_start(context: Context) -> Iterator[HeadStart]:
    """One that has ended when this ends, and is broken off where this fails. `context` is that of the engine that
    builds."""
    with ThreadPoolExecutor(1, thread_name_prefix="head-start") as pool:
        head = HeadStart(context, pool)
        try:
            yield head
        except BaseException:
            head.break_off()
            raise
    head.insist()


class HeadStart:
    """What has begun, and who hears of it."""

    def __init__(self, context: Context, pool: ThreadPoolExecutor) -> None:
        self._context = context
        self._pool = pool
        self._build: Future[None] | None = None
        self._mutex = Mutex()
        self._kept: list[BuildEvent] = []  # until somebody listens
        self._listener: OnEvent = self._kept.append
        self._tellers: dict[tuple[str, bool], str] = {}  # vertex, what it writes or how it goes -> told by which build
        self._held: dict[str, BuildEvent] = {}  # what the build said of a step's end, by vertex
        self._wanted = True

    def begin(self, prepared: Prepared, secrets: Mapping[str, bytes]) -> None:
        """Once; `prepared` has its packages by now, and its base is there. Not on an engine that joins no builds."""
        if self._build is None and self._context.engine().version().kind == "docker":
            self._build = self._pool.submit(self._run, prepared, secrets)

    def join(self, listener: OnEvent) -> OnEvent:
        """Who is to hear of what happens here, from the beginning; and what that one hears of the build that follows:
        all but what is told from here."""
        with self._mutex:
            for event in self._kept:
                listener(event)
            self._listener = listener

        def rest(event: BuildEvent) -> None:
            with self._mutex:
                alone = not (IN_IT.match(event.vertex) and self._runs_well())
                if alone or self._tells("rest", event):
                    listener(event)
                elif not event.log:
                    self._held[event.vertex] = event

        return rest

    def tell_rest(self) -> None:
        """Once the build has ended: what it said of steps that nothing was heard of here."""
        with self._mutex:
            for vertex, event in self._held.items():
                if (vertex, False) not in self._tellers:
                    self._listener(event)

    def _run(self, prepared: Prepared, secrets: Mapping[str, bytes]) -> None:
        engine, tag, tree = self._context.engine(), name_question(self._context, STAGE), prepared.image_tree
        if self._wanted:
            engine.build(tree, {}, tag, self._hear, secrets=secrets, target=STAGE)
            engine.remove_image(tag)

    def _hear(self, event: BuildEvent) -> None:
        with self._mutex:
            if self._tells("head", event):
                self._listener(event)

    def _tells(self, build: str, event: BuildEvent) -> bool:
        """Whether this is told from this build. BuildKit tells of a step to the build that came to it first, which may
        be either; the other hears in the end that it is there, as from the cache."""
        key = event.vertex, bool(event.log)
        if build == "head" or event.log or event.state == "running":
            return self._tellers.setdefault(key, build) == build
        return self._tellers.get(key) == build

    def hear_out(self, where: str | None) -> None:
        """Wait for all that is said of a failure here, by the name of what failed. It failed here as well, or is about
        to."""
        if self._build is not None and IN_IT.match(where or ""):
            wait([self._build])

    def break_off(self) -> None:
        self._wanted = False
        if self._build is not None and not self._build.done():
            self._context.engine().cancel_builds()

    def insist(self) -> None:
        """Raises what nobody foresaw. A build that failed here was sound there, or was told there."""
        error = self._build.exception() if self._build is not None else None
        if error is not None and not isinstance(error, DevboxError):
            raise error

    def _runs_well(self) -> bool:
        """Or did so to its end."""
        return self._build is not None and (not self._build.done() or self._build.exception() is None)
