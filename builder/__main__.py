"""The command `devbox`: what a look can answer is answered at once, all else is the command line's."""

from __future__ import annotations

import os
import sys

from builder.shortcut import answer


def main() -> None:
    text = answer(sys.argv[1:], os.environ)
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


if __name__ == "__main__":
    main()
