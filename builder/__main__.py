"""The command `devbox`: what a look can answer is answered at once, all else is the command line's.

Every end of the process goes through here: an exception that nobody foresaw is told by `crash`. Imports at its top what
Python has loaded when it begins, since the fastest answer (`recall`) takes no longer than other imports.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

from builder.recall import recall

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

GARBAGE = 50_000  # new objects, before Python looks for garbage: imports make many, and all of them stay


def main() -> None:
    """The only one who exits."""
    gc.set_threshold(GARBAGE)
    code = run(sys.argv[1:])
    gc.freeze()  # at its end Python looks for garbage once more, through all that was imported: 40 ms
    for stream in (sys.stdout, sys.stderr):
        hang_up(stream)
    sys.exit(code)


def run(words: Sequence[str]) -> int:
    try:
        text = recall(words, os.environ)
        if text is None:
            from builder.shortcut import answer

            text = answer(words, os.environ)
        return run_command_line(words) if text is None else write(text)
    except KeyboardInterrupt:
        from builder.errors import Interrupted

        say(sys.stderr, "interrupted")
        return Interrupted.exit_code
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return crash(words, error)
        from builder.errors import HostError

        say(sys.stderr, f"error: {error.strerror}\nhint: this shell allows too few: `ulimit -n 1024` raises that")
        return HostError.exit_code
    except Exception as error:  # noqa: BLE001  # nothing ends as a traceback
        return crash(words, error)


def crash(words: Sequence[str], error: Exception) -> int:
    from builder.crash import Witness

    Witness(words=words, environment=os.environ).tell(error)
    return 1


def run_command_line(words: Sequence[str]) -> int:
    """The exit code; 1 also where a thread died unseen and the verb came to its end all the same."""
    from builder.crash import Witness

    witness = Witness(words=words, environment=os.environ)
    witness.watch_threads()
    from builder.cli import main as command_line

    return command_line(words) or int(witness.seen)


def write(text: str) -> int:
    """To stdout, whose reader may be gone (`devbox status | head -1`): no failure of ours."""
    try:
        say(sys.stdout, text)
    except BrokenPipeError:
        return 0
    except OSError as error:
        from builder.errors import HostError

        say(
            sys.stderr,
            f"error: standard output cannot be written: {error.strerror}\nhint: free some space where it leads to",
        )
        return HostError.exit_code
    return 0


def say(stream: TextIO | None, text: str) -> None:
    """None: it was closed by who started us."""
    if stream is not None:
        stream.write(f"{text}\n")
        stream.flush()


def hang_up(stream: TextIO | None) -> None:
    """Let what could not be written go nowhere, or Python tries again at its end, and ends with 120."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
