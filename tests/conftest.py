"""What holds for the whole suite."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden cases below tests/golden")


def pytest_configure() -> None:
    """Ctrl-C reaches what the tests start, also where they run as a background job: a shell starts those with SIGINT
    ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
