"""`devbox`: parses the command line, wires the adapters, prints. One module per phase; `frame` is what they share.

Every verb imports what it needs inside itself: `devbox --help` must not pay for an engine's SDK.
"""

from builder.cli.frame import app, main, run

# isort: off
from builder.cli import ahead, bring_up, look, enter, lifecycle  # noqa: F401  # in the order of `devbox --help`
# isort: on

__all__ = ["app", "main", "run"]
