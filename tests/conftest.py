"""What holds for the whole suite."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden cases below tests/golden")
    parser.addoption("--reliability", action="store_true", help="write docs/reliability.md from this run")


def pytest_configure() -> None:
    # A shell starts background jobs with SIGINT ignored, and children inherit that: Ctrl-C would not reach them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A busy machine is no failure: on top of what Hypothesis takes for CI or for a person's machine.
    settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
