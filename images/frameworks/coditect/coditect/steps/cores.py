"""How many processors this process may use: affinity and the quota of its control group, not what the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def count_cores(groups: Path = CONTROL_GROUPS) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read_quota(groups)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _read_quota(groups: Path) -> float | None:
    """Processors' worth of time, as the container's own group says it (version 2, else 1)."""
    try:
        if (unified := groups / "cpu.max").exists():
            quota, period = unified.read_text().split()
        else:
            quota, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None  # no control groups here, or `max`: no limit
