"""What is at the top of each volume, and how much in all: for somebody who is about to lose it.

Not imported: its text is sent into a container of any image of ours, to the Python that is there. The request is a line
on standard input, the answer one on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

TOP = 40  # names that are told


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    found = {name: measure(f"/source/{name}") for name in request["volumes"]}
    sys.stdout.write(json.dumps({"event": "ended", "volumes": found}) + "\n")


def measure(root: str) -> dict[str, object]:
    size = files = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):  # it lives on meanwhile
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
                files += 1
    top = sorted(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in os.listdir(root))
    return {"bytes": size, "files": files, "top": top[:TOP]}


if __name__ == "__main__":
    main()
