"""A bill of materials as a file: CycloneDX and SPDX, each by the library of its makers, imported when it is asked for.

Owns the form only. What is in the image is `core.bill`'s; neither clock nor chance enters, so that the same bill is the
same bytes.
"""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.bill import Bill


class BillFormat(Enum):
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"


def render_bill(bill: Bill, form: BillFormat) -> str:
    """JSON: CycloneDX 1.6 or SPDX 2.3."""
    match form:
        case BillFormat.CYCLONEDX:
            from builder.adapters.sbom.cyclonedx import render_cyclonedx

            return render_cyclonedx(bill)
        case BillFormat.SPDX:
            from builder.adapters.sbom.spdx import render_spdx

            return render_spdx(bill)


def parse_time(created: str) -> datetime:
    """When the image was made, in whole seconds of UTC; engines write nanoseconds, which Python does not read."""
    if not created:
        return datetime.fromtimestamp(0, timezone.utc)
    return datetime.strptime(created[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
