"""What nobody foresaw: one message in place of a traceback, and a report of it for whoever mends devbox.

The last resort of `__main__`, for any exception in any thread, also while a verb is imported. What it needs of ours is
imported when it is needed, and the message comes even when that fails. Sends nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.redaction import redact

if TYPE_CHECKING:
    from builder.core.scrubbing import Scrub

EXIT_CODE: Final = 1
DEBUG: Final = "DEVBOX_DEBUG"
MAX_TEXT: Final = 2000  # of an exception, in the message
MAX_TRACE: Final = 100_000
LAST_EVENTS: Final = 50
HINT: Final = (
    "hint: this is a mistake of devbox; `devbox diagnose` packs what is needed to mend it, to attach to an issue"
)

Events = Sequence[Mapping[str, object]]


@dataclass(slots=True)
class Witness:
    """Sees every exception that nobody caught. `words` are those of the command line."""

    words: Sequence[str]
    environment: Mapping[str, str]
    seen: bool = False

    def watch_threads(self) -> None:
        """A thread of ours that dies is told at once; the others go on, and the process ends with 1."""
        threading.excepthook = self._see_thread

    def _see_thread(self, seen: threading.ExceptHookArgs) -> None:
        if seen.exc_value is not None and not isinstance(seen.exc_value, SystemExit):
            self.tell(seen.exc_value)

    def tell(self, error: BaseException) -> None:
        """The message on stderr, and the report."""
        self.seen = True
        try:
            lines = self._report(error)
        except Exception as failure:  # noqa: BLE001  # a broken installation, no memory: the message comes all the same
            lines = [f"error: {_describe(error, redact)}", f"no report could be made: {_describe(failure, redact)}"]
        with contextlib.suppress(OSError):  # nobody reads it
            sys.stderr.write("\n".join([*lines, HINT, ""]))

    def _report(self, error: BaseException) -> list[str]:
        import traceback

        from builder.adapters.hostinfo import find_folder
        from builder.adapters.runlog import read_own_run, write_report

        state = find_folder("XDG_STATE_HOME", ".local/state", self.environment)
        scrub = _make_scrubber(state, _find_folder(self.words), self.environment)
        events = read_own_run(state)
        trace = scrub("".join(traceback.format_exception(error)))[-MAX_TRACE:]
        lines = [f"error: {_describe(error, scrub)}", f"it came unforeseen {_tell_doing(self.words, events)}"]
        try:
            lines.append(f"report: {write_report(state, _render(trace, scrub, self.words, events))}")
        except OSError as failure:
            reason = failure.strerror or str(failure)
            lines.append(f"no report could be written: {reason}; {DEBUG}=1 shows the traceback here")
        if self.environment.get(DEBUG):
            lines.append(trace.rstrip())
        return lines


def _make_scrubber(state: Path, folder: Path, environment: Mapping[str, str]) -> Scrub:
    from builder.adapters.hostinfo import find_home
    from builder.adapters.known_secrets import find_names, find_secrets
    from builder.core.scrubbing import make_scrubber

    home = find_home(environment)
    return make_scrubber(find_secrets(state, home, folder, environment), find_names(home))


def _find_folder(words: Sequence[str]) -> Path:
    """Of -C before the verb: the command line itself may be what cannot be imported."""
    folder, left = ".", iter(words)
    for word in left:
        if word in ("-C", "--directory"):
            folder = next(left, folder)
        elif word == "--log":
            next(left, None)
        elif word.startswith("--directory="):
            folder = word.partition("=")[2]
        elif word.startswith("-C"):
            folder = word[2:]
        elif not word.startswith("-"):
            break
    return Path(folder)


def _describe(error: BaseException, scrub: Scrub) -> str:
    text = scrub(str(error))
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _tell_doing(words: Sequence[str], events: Events) -> str:
    """The task that had begun and not ended, by the log of the run; where there is none, the verb is all we know."""
    verb = next((str(event["verb"]) for event in events if "verb" in event), None)
    doing = f"while `devbox {verb}` worked" if verb else f"in `{_tell_words(words)}`"
    open_tasks: dict[object, object] = {}
    for event in events:
        match event.get("event"):
            case "TaskStarted":
                open_tasks[event.get("name")] = event.get("text")
            case "TaskEnded":
                open_tasks.pop(event.get("name"), None)
    return f"{doing}: {[*open_tasks.values()][-1]}" if open_tasks else doing


def _tell_words(words: Sequence[str]) -> str:
    return redact(" ".join(["devbox", *words]))


def _render(trace: str, scrub: Scrub, words: Sequence[str], events: Events) -> str:
    """The report as a text. A traceback of this form holds no values of variables."""
    import platform

    parts = {
        "command": scrub(_tell_words(words)),
        "python": f"{platform.python_version()} on {platform.platform()}",
        "devbox": _find_version(),
        "traceback": trace,
        f"last {LAST_EVENTS} events of the run": scrub("\n".join(map(str, events[-LAST_EVENTS:]))) or "none",
    }
    return "\n".join(f"{name}:\n{text}\n" for name, text in parts.items())


def _find_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("devbox-workstation")
    except PackageNotFoundError:
        return "unknown: it is not installed as a package"
