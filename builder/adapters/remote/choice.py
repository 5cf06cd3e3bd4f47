"""Which machine a verb works on: `--host`, else `host:` of devbox.yaml, else this one's own settings (DOCKER_HOST).

What is chosen becomes DOCKER_HOST for the rest of devbox. Imports next to nothing, parses nothing: a wrong address is
told by who parses devbox.yaml, or connects.
"""

from __future__ import annotations

from collections.abc import Mapping

from builder.adapters.remote.address import HERE, SCHEME
from builder.core.overlay import read_loosely


def choose_host(
    environment: Mapping[str, str], written: bytes | None, *, file: str, asked: str | None = None
) -> Mapping[str, str]:
    """`environment`, or a copy with another engine in it."""
    named = asked or read_loosely(written or b"", "host", file=file)
    if not isinstance(named, str) or named == HERE or not (asked or named.startswith(SCHEME)):
        return environment
    return {**environment, "DOCKER_HOST": str(named)}
