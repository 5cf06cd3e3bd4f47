"""How this machine is called on another one: several people may work there, in folders of the same path.

What is made there carries a mark before its folder, `NAME-DIGITS:/folder`. The name is for people; the digits alone say
whose it is. Imports next to nothing: `status` and a no-op `up` ask here.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from builder.adapters.remote.address import find_state
from builder.errors import HostError

ITSELF: Final = "there"  # stands for the name of the other machine
MACHINE_ID: Final = Path("/etc/machine-id")
NO_ID: Final = (b"", b"uninitialized")  # machine-id(5)
FILE: Final = "devbox/machine"  # below the state of this person
DIGITS: Final = re.compile(r"[0-9a-f]{8}")


def mark_folder(path: str) -> str:
    """A folder of this machine, as labels on another machine name it."""
    if not path.startswith("/"):
        return path
    return f"{os.uname().nodename.partition('.')[0]}-{find_digits()}:{path}"


def unmark_folder(marked: str) -> str:
    """The folder of such a label, if it is of this machine; else what is no folder here. A path alone is of somebody
    who works on that machine itself, and this one may have the same."""
    if marked.startswith("/"):
        return f"{ITSELF}:{marked}"
    mark, found, path = marked.partition(":/")
    return f"/{path}" if found and mark.rpartition("-")[2] == find_digits() else marked


def find_digits() -> str:
    """Of this person on this machine: from its id the first time, and kept from then on, for that may change. Where it
    has none, as in many containers, by chance. Raises HostError where those cannot be kept."""
    file = find_state(os.environ) / FILE
    try:
        return _read(file)
    except (FileNotFoundError, NotADirectoryError):
        pass
    known = _read_id()
    try:
        return _keep(file, known or os.urandom(4).hex())
    except HostError:
        if known:  # and found again
            return known
        raise


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        from builder.adapters.files import cannot

        raise cannot("read", file, error) from error
    if not DIGITS.fullmatch(text):
        hint = "remove it: it is made anew, from the id of this machine if it has one"
        raise HostError("holds no 8 hex digits", where=str(file), hint=hint)
    return text


def _read_id() -> str:
    try:
        known = MACHINE_ID.read_bytes().strip()
    except OSError:
        return ""
    return "" if known in NO_ID else hashlib.sha256(b"devbox\0" + known + str(os.getuid()).encode()).hexdigest()[:8]


def _keep(file: Path, digits: str) -> str:
    """Of two processes at once the first one decides for both."""
    import tempfile

    from builder.adapters.files import PART, cannot, make_folder

    make_folder(file.parent, mode=0o700)
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", suffix=PART) as part:
            part.write(digits.encode() + b"\n")
            part.flush()
            os.fsync(part.fileno())
            try:
                file.hardlink_to(part.name)
            except FileExistsError:
                return _read(file)
    except OSError as error:
        raise cannot("write", file, error) from error
    return digits
