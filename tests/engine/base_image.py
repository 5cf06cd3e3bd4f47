"""An image with a shell for tests that only need something to build on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine


@pytest.fixture(scope="session")
def base_image(engine: Engine, request: pytest.FixtureRequest) -> str:
    """DEVBOX_TEST_BASE, else a base that devbox bootstrapped before, else the shared workstation's."""
    if reference := os.environ.get("DEVBOX_TEST_BASE"):
        return reference
    if not (bases := _bases(engine)):
        request.getfixturevalue("shared")
        bases = _bases(engine)
    return bases[0]


def _bases(engine: Engine) -> list[str]:
    return [tag for image in engine.find_image_ids("dev.devbox.base") for tag in image.tags if "debian" in tag]
