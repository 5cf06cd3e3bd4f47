"""Who a person is to Git on this machine: the name and the address of their commits.

Reads Git's own settings through Git, which knows where they lie and what they include. No credential is asked for.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

KEYS: Final = ("user.email", "user.name")
DEADLINE_S: Final = 5


def find_git_identity() -> Mapping[str, str]:
    """`user.name` and `user.email` of the person's own settings, as far as they are there."""
    if shutil.which("git") is None:
        return {}
    asked = ["git", "config", "--global", "--includes", "--null", "--get-regexp", r"^user\.(name|email)$"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    except subprocess.TimeoutExpired:
        return {}
    pairs = (entry.partition("\n") for entry in done.stdout.split("\0"))
    return {key: value for key, _, value in pairs if key in KEYS and value and value.isprintable()}


def render_git_identity(identity: Mapping[str, str]) -> str:
    """A file of Git's; see the syntax in git-config(1)."""
    lines = [f'    {key.partition(".")[2]} = "{_escaped(value)}"' for key, value in sorted(identity.items())]
    return "\n".join(["# From this machine's own settings, by devbox.", "[user]", *lines]) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
