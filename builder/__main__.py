"""The command `devbox`: what a look can answer is answered at once, all else is the command line's."""

from __future__ import annotations

import os
import sys

from builder.errors import HostError, Interrupted
from builder.shortcut import answer


def main() -> None:
    try:
        text = answer(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(Interrupted.exit_code)
    if text is None:
        from builder.cli import main as command_line

        command_line()
    else:
        write(text)


def write(text: str) -> None:
    """To stdout, whose reader may be gone (`devbox status | head -1`): no failure of ours."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.stderr.write(f"error: standard output cannot be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again at its end
        sys.exit(HostError.exit_code)


if __name__ == "__main__":
    main()
