"""`devbox`: parses the command line, wires the adapters, prints. One module per phase; `frame` is what they share.

Every verb imports what it needs inside itself: `devbox --help` must not pay for an engine's SDK.
"""

from builder.cli.frame import app, main, run

# isort: off
# In the order of `devbox --help`.
from builder.cli import ahead, catalogue, bring_up, lock, update, changes  # noqa: F401
from builder.cli import look, enter, copying, lifecycle, carry, backups, remote, setup, tidy, diagnose  # noqa: F401
# isort: on

__all__ = ["app", "main", "run"]
