"""Runs inside a container: commands come in as JSON lines, their answers go out as JSON lines, in the order they end.

Not imported: its text is sent inside, to the Python that the probe runs on (3.9 or newer). What still runs when the
input ends is killed with everything that it started in its own process group.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading

TYPE_CHECKING = False  # the real one takes as long to import as all the rest
if TYPE_CHECKING:
    from typing import Any

CANNOT_RUN, NOT_FOUND = 126, 127  # as a shell and the engine have it
running: dict[int, subprocess.Popen[bytes]] = {}  # process id -> process
lock = threading.Lock()


def main() -> None:
    tell({"ready": True})
    for line in sys.stdin.buffer:
        threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()
    with lock:
        for pid, process in running.items():
            if process.poll() is None:
                os.killpg(pid, signal.SIGKILL)


def serve(errand: dict[str, Any]) -> None:
    try:
        answer = run(errand)
    except (OSError, ValueError, IndexError) as error:  # also a zero byte in a word, and no word at all
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        answer = {"code": code, "stdout": "", "stderr": encode(str(error).encode())}
    tell(dict(answer, id=errand["id"]))


def run(errand: dict[str, Any]) -> dict[str, object]:
    given = base64.b64decode(errand["stdin"])
    process = subprocess.Popen(
        errand["argv"],
        env=dict(os.environ, **errand["env"]),
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with lock:
        running[process.pid] = process
    try:
        stdout, stderr = process.communicate(given or None)
    finally:
        with lock:
            del running[process.pid]
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return {"code": code, "stdout": encode(stdout), "stderr": encode(stderr)}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def tell(answer: dict[str, object]) -> None:
    line = json.dumps(answer).encode() + b"\n"
    with lock:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
