"""For every test below."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Ctrl-C reaches what the tests start, also where they run as a background job: a shell starts those with SIGINT
    ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
