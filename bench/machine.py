"""What kind of machine a bench ran on, and nothing that says which one."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping


def describe_machine(*, with_engine: bool = True) -> Mapping[str, str]:
    return {
        "cores": f"{os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        **({"engine": _engine()} if with_engine else {}),
        "load": f"load {os.getloadavg()[0]:.1f} before the run",
        "python": f"Python {platform.python_version()}",
    }


def _engine() -> str:
    import docker

    return f"Docker Engine {docker.from_env().version()['Version'].partition('+')[0]}"
