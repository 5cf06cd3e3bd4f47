"""`--update-golden` rewrites the golden cases. It is declared in tests/conftest.py; here is what reads it."""

from __future__ import annotations

import pytest


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
