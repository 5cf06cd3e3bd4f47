"""How a command ends: its errors in words, its exit code. Owns what `coditect` and `cxq` share of it.

Every query imports this: nothing that costs time.
"""

from __future__ import annotations

import os
import sys

from coditect.errors import CoditectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# As a shell tells of a program that a signal ended: 128 and the number of SIGINT, of SIGPIPE.
INTERRUPTED = 130
READER_GONE = 141


def finish(act: Callable[[], int]) -> int:
    """The exit code of `act`, after everything that it printed is out."""
    try:
        code = act()
        sys.stdout.flush()
    except CoditectError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, head) has seen enough. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return code
