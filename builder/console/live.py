"""The live view: a tree of what runs now, redrawn in place; what is done is left above it as one line.

rich draws it, and is imported when the first task begins: notes alone, and verbs that only ask, take no notice of it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from builder.console.reporters import Now, Reporter
from builder.core.stages import Stages
from builder.model import Event, Note

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

EVERY_S: Final = 0.125
YELLOW, PLAIN = "\x1b[33m", "\x1b[0m"


class LiveReporter(Reporter):
    """One lock holds all that is written together: rich's own thread would write between a line and the tree below it,
    and take away more than the tree then."""

    def __init__(self, stream: TextIO, *, colour: bool, now: Now) -> None:
        self._stream = stream
        self._colour = colour
        self._now = now
        self._stages = Stages()
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._ended = threading.Event()

    def tell(self, event: Event) -> None:
        with self._lock:
            line = self._stages.take(event, self._now())
            if line is not None:
                self._print(line, warns=isinstance(event, Note) and event.level == "warning")
            if self._stages.is_busy:
                self._start()
            else:
                self._stop()

    def close(self) -> None:
        with self._lock, suppress(OSError, ValueError):  # a terminal that is gone needs nothing given back
            self._stop()

    def _print(self, line: str, *, warns: bool) -> None:
        """Above the tree, if there is one."""
        if self._live is not None:
            self._live.console.print(line, style="yellow" if warns else None, markup=False, soft_wrap=True)
        else:
            print(f"{YELLOW}{line}{PLAIN}" if warns and self._colour else line, file=self._stream, flush=True)

    # ------------------------------------------------------------------------------------------------ the tree

    def _start(self) -> None:
        if self._live is not None:
            return
        from rich.console import Console
        from rich.live import Live

        # What a verb prints on stdout is data, and none of rich's business.
        self._live = Live(
            console=Console(file=self._stream, no_color=not self._colour, highlight=False), get_renderable=self._draw,
            auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        self._live.start(refresh=True)
        self._ended = threading.Event()
        threading.Thread(target=self._keep_drawing, args=(self._ended,), name="progress", daemon=True).start()

    def _keep_drawing(self, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            with self._lock:
                if self._live is None or ended.is_set():
                    return
                try:
                    self._live.refresh()
                except (OSError, ValueError):  # nobody reads it any more, or the stream is closed
                    return

    def _stop(self) -> None:
        """Takes the tree away and gives the cursor back."""
        self._ended.set()
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        width, height = self._find_size()
        lines = [Text(line) for line in self._stages.draw(self._now(), width=width, height=height)]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Group(*lines)

    def _find_size(self) -> tuple[int, int]:
        """Of the terminal that is written to; rich asks whichever of the three streams is one. Some say 0."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):  # it is none, or closed
            columns, rows = 0, 0
        return columns or 80, rows or 24
