"""What a shell may complete.

Asked at each press of a key: an answer is one look, and nothing where there is nothing to see. Must print nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

DOORS: Final = ("dev", "ssh", "vnc", "web")
PASSWORDS: Final = ("backup", "vnc", "web")
SCHEMAS: Final = ("base", "config", "profile", "sidecar", "tool")
LOGS: Final = ("auto", "json", "live", "plain", "quiet")
SYSTEMS: Final = ("github", "gitlab")


def complete_door(incomplete: str) -> list[str]:
    return _starting(DOORS, incomplete)


def complete_password(incomplete: str) -> list[str]:
    return _starting(PASSWORDS, incomplete)


def complete_schema(incomplete: str) -> list[str]:
    return _starting(SCHEMAS, incomplete)


def complete_log(incomplete: str) -> list[str]:
    return _starting(LOGS, incomplete)


def complete_system(incomplete: str) -> list[str]:
    return _starting(SYSTEMS, incomplete)


def complete_tool(incomplete: str) -> list[str]:
    """Of our own catalogue: the folder of the command line is not known here."""
    from builder.adapters.installation import data_root

    return _starting((path.stem for path in (data_root() / "images/tools").glob("*.yaml")), incomplete)


def complete_workstation(incomplete: str) -> list[str]:
    """Those on the engine, without its SDK."""
    from builder.adapters.engine_look import look_containers
    from builder.core.labels import LABEL_WORKSPACE
    from builder.tasks.status import describe_container

    found = look_containers(os.environ, LABEL_WORKSPACE) or []  # None without an engine: no place to say it
    return _starting((describe_container(item).name for item in found), incomplete)


def _starting(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted(word for word in words if word.startswith(incomplete))
