"""A question to the person at the terminal. Owns how it is put; whoever asks decides what an answer means."""

from __future__ import annotations

import sys


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """The first letter of the answer, small; nothing when the input has ended. On stderr: stdout is for data."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()[:1]
