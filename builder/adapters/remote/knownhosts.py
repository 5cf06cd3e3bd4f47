"""known_hosts as OpenSSH reads it: which keys a host may show, with file and line, and how a new one is added.

paramiko's own reader knows neither lines, nor patterns, nor @revoked. Decides nothing. Source: sshd(8), SSH_KNOWN_HOSTS
FILE FORMAT. A host certificate (@cert-authority) is no key that is shown here: such a line is passed over.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko.hostkeys import HostKeys

from builder.adapters.files import cannot, make_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    kind: str  # ssh-ed25519 ...
    blob: bytes
    file: Path
    line: int
    revoked: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def find_known(files: Sequence[Path], name: str) -> tuple[KnownKey, ...]:
    """Every key that these files have for `name`, which is `host` or `[host]:port`."""
    return tuple(known for file in files for known in _read(file, name))


def _read(file: Path, name: str) -> Iterator[KnownKey]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot("read", file, error) from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker == "@cert-authority" or not _matches(words[0], name):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue  # OpenSSH passes over it, too
        yield KnownKey(kind=words[1], blob=blob, file=file, line=number, revoked=marker == "@revoked")


def _matches(patterns: str, name: str) -> bool:
    """Comma-separated patterns, `!` before one that must not match; or one hashed name."""
    if patterns.startswith("|"):
        try:
            return HostKeys.hash_host(name, patterns) == patterns
        except (AssertionError, IndexError, ValueError):
            return False  # a hash that is none; OpenSSH passes over it, too
    asked = patterns.lower().split(",")
    if any(_fits(pattern[1:], name) for pattern in asked if pattern.startswith("!")):
        return False
    return any(_fits(pattern, name) for pattern in asked)


def _fits(pattern: str, name: str) -> bool:
    """`*` and `?` alone are wild; the brackets of `[host]:port` are not."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def add_known(file: Path, name: str, kind: str, blob: bytes, *, hashed: bool) -> None:
    """One more line. Raises HostError."""
    line = f"{HostKeys.hash_host(name) if hashed else name} {kind} {base64.b64encode(blob).decode()}\n"
    make_folder(file.parent, mode=0o700)
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+b") as known:
            size = known.seek(0, os.SEEK_END)
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = f"\n{line}"
            known.write(line.encode())
    except OSError as error:
        raise cannot("write", file, error) from error


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -lf` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
