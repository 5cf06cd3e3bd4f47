"""What the faults took, for the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.faults.page import PAGE, Seconds, render_page
from tests.engine.faults.table import FAULTS


@pytest.fixture(scope="session")
def reliability(request: pytest.FixtureRequest) -> Iterator[Seconds]:
    """With --reliability the page is written, once every fault was met as the table says."""
    seconds = Seconds()
    yield seconds
    if request.config.getoption("--reliability"):
        missing = {fault.id for fault in FAULTS} - seconds.seen.keys()
        assert not missing, f"the page is written from a run of all faults; without {sorted(missing)}"
        PAGE.write_text(render_page(FAULTS, seconds.seen))
