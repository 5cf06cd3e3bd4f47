"""Names of environment variables that the workstation can be given: what a person sets, and what a sidecar gives."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from builder.core.fields import ENV_NAME, EnvironmentName
from builder.core.validation import wrong

# Variables that the image or the runtime sets; another value would break the desktop in ways hard to trace.
_OURS: Final = re.compile(
    "DEVBOX_.*|DISPLAY|XAUTHORITY|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|HOME|USER|LOGNAME|SHELL|PATH|LD_.*"
)
_INSTEAD: Final = {"TZ": "timezone", "LANG": "locale", "LC_ALL": "locale"}


def is_free_name(name: str) -> bool:
    """Whether a variable of this name can be given to the workstation."""
    return re.fullmatch(ENV_NAME, name) is not None and name not in _INSTEAD and not _OURS.fullmatch(name)


def _free_name(name: str) -> str:
    if name in _INSTEAD:
        raise wrong(f"{name} is set by the key `{_INSTEAD[name]}`", f"write `{_INSTEAD[name]}:` at the top level")
    if _OURS.fullmatch(name):
        raise wrong(f"{name} belongs to the workstation", "take another name, or set it in your shell's own files")
    return name


FreeName = Annotated[EnvironmentName, AfterValidator(_free_name)]
