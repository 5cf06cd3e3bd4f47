"""How a command ends: its errors in words, its exit code. Owns what `coditect` and `cxq` share of it.

Every query imports this: nothing that costs time.
"""

from __future__ import annotations

import io
import os
import sys

from coditect.errors import CoditectError, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# As a shell tells of a program that a signal ended: 128 and the number of SIGINT, of SIGPIPE.
INTERRUPTED = 130
READER_GONE = 141


def finish(act: Callable[[], int]) -> int:
    """The exit code of `act`, after everything that it printed is out."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show it all shows the rest
    try:
        code = act()
        sys.stdout.flush()
    except CoditectError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, head) has seen enough. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        return _fail(StoreError(error.strerror or str(error), where=str(error.filename or "")))
    return code


def _fail(error: CoditectError) -> int:
    print(error.render(), file=sys.stderr)
    return error.exit_code
