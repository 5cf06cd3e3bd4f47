"""What stands in the lock of a workspace: who works there, since when, and what is being done right now.

It is the journal, too. An orderly end empties it, so what stands in a lock that nobody holds was left by a process that
was killed, and tells at which act. Owns the form and the words; must stay cheap to import: `status` reads it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.adapters.living import is_gone, this_process

MAX_BYTES: Final = 4096
MAX_WORD: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who works in a workspace. `since` is in seconds since 1970."""

    pid: int
    host: str
    user: str
    verb: str
    since: float
    doing: str = ""  # the act that is under way: "building the image"
    process: str = ""  # its mark, see `living`

    def __str__(self) -> str:
        doing = f", {self.doing}" if self.doing else ""
        return f"`devbox {self.verb}` (process {self.pid} of {self.user} on {self.host}, since {self._at()}{doing})"

    def describe_end(self) -> str:
        """Of one that was killed."""
        while_doing = f" while {self.doing}" if self.doing else ""
        return f"the last `devbox {self.verb}` (of {self.user}, at {self._at()}) was killed{while_doing}"

    def _at(self) -> str:
        then, today = time.localtime(self.since), time.localtime()
        return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", then)


def this_holder(verb: str) -> Holder:
    return Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        user=_user(),
        verb=verb,
        since=round(time.time(), 3),
        process=this_process(),
    )


def dump_holder(holder: Holder) -> bytes:
    told = {name: getattr(holder, name) for name in Holder.__slots__}
    return json.dumps(told).encode()[:MAX_BYTES]


def parse_holder(data: bytes) -> Holder | None:
    """None for an empty lock, and for one that is being written this moment.

    What follows the JSON is the end of a longer one, from before: see `workspace_lock`.
    """
    try:
        told, _ = json.JSONDecoder().raw_decode(data.decode())
        since = float(told["since"])
        time.localtime(since)  # raises for what is no time
        return Holder(
            pid=int(told["pid"]),
            since=since,
            **{name: _word(told.get(name, "")) for name in ("host", "user", "verb", "doing", "process")},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, OSError):
        return None


def find_unfinished(lock: Path) -> Holder | None:
    """The work that a killed process left in this workspace; None where all was ended, or somebody is at work.

    Takes no lock: a person who only looks must not be in the way of who works.
    """
    try:
        if not lock.is_file() or lock.stat().st_size == 0:
            return None
        with lock.open("rb") as file:
            holder = parse_holder(file.read(MAX_BYTES))
    except OSError:
        return None  # who takes the lock is told what is wrong with it
    return holder if holder is not None and is_gone(holder.process) else None


def _word(value: object) -> str:
    """It goes to terminals and into log lines, and a repository of somebody else may have brought the file."""
    return "".join(char if char.isprintable() else " " for char in str(value))[:MAX_WORD]


def _user() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # a uid without a name; OSError since Python 3.13
        return str(os.getuid())
