"""The page of the exit codes, from the tree of `builder.errors`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder import errors
from docsite.tables import make_table

AROUND = """\
# Exit codes

"""
AFTER = """
`devbox exec`, `devbox shell` and `devbox ssh` end with the code of what ran. An error is told on stderr: what happened,
where, and behind `hint:` what to do next. [Troubleshooting](../troubleshooting.md) has the messages.
"""


def render_codes() -> str:
    rows = [("0", "success"), *((str(code), words) for code, words in sorted(find_codes()))]
    return AROUND + make_table(("code", "what it means"), rows) + AFTER


def find_codes() -> Iterator[tuple[int, str]]:
    """Each code with the words of the first error in the tree that has it."""
    told: set[int] = set()
    for name, code, words in re.findall(r"(\w+) +(\d+)   (.+)$", errors.__doc__ or "", re.MULTILINE):
        if getattr(errors, name).exit_code != int(code):
            raise ValueError(f"{name} ends with {getattr(errors, name).exit_code}, and its tree says {code}")
        if int(code) not in told:
            yield int(code), words
        told.add(int(code))
