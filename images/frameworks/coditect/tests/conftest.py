"""What holds for every test of the package, also where it stands alone."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """A busy machine is no failure: on top of what Hypothesis takes for CI or for a person's machine."""
    settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
