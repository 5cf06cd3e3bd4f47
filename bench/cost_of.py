"""Run a command, and print as JSON what it took: `python -S cost_of.py COMMAND ...`.

A small process of its own, because the kernel counts the memory of whoever starts a command as the command's: a child
begins as its parent.
"""

import json
import os
import sys
import time

started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "peak_mb": usage.ru_maxrss * 1024 / 1e6}))
sys.exit(os.waitstatus_to_exitcode(status))
