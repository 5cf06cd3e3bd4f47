"""A person's dotfiles as a tar: cloned by this machine's Git, with the logins that it has, or read from a folder.

Writes to a scratch folder alone.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import monotonic
from builder.adapters.files import cannot
from builder.adapters.process import Stopped, never
from builder.adapters.projects import run_git
from builder.errors import HostError, Interrupted

if TYPE_CHECKING:
    from builder.model import Dotfiles

MAX_BYTES: Final = 64 << 20


def pack_dotfiles(wanted: Dotfiles, scratch: Path, *, stopped: Stopped = never) -> bytes:
    """All of it, with the repository's history of one commit. Raises HostError where it cannot be had in time."""
    folder = Path(wanted.path) if wanted.path is not None else None
    if folder is not None and not _is_bare(folder):
        if not folder.is_dir():
            raise HostError("there is no such folder", where=str(folder), hint="`dotfiles` of devbox.yaml names it")
        return _pack(folder)
    url = wanted.git or f"file://{folder}"
    deadline = monotonic() + wanted.timeout_s
    try:
        run_git(
            ["clone", "--quiet", "--depth=1", "--", url, str(scratch / "dotfiles")],
            url,
            stopped=lambda: stopped() or monotonic() > deadline,
        )
    except Interrupted as error:
        if stopped():
            raise
        hint = "`dotfiles.timeout` gives it more time"
        raise HostError(f"could not be cloned within {wanted.timeout_s} s", where=url, hint=hint) from error
    return _pack(scratch / "dotfiles")


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _pack(folder: Path) -> bytes:
    packed = io.BytesIO()
    try:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(folder.rglob("*")):
                if not (path.is_file() or path.is_symlink()):
                    continue
                if packed.tell() + path.lstat().st_size > MAX_BYTES:  # looked at before: it is all held in memory
                    message = f"holds more than {MAX_BYTES >> 20} MB"
                    raise HostError(message, where=str(folder), hint="dotfiles are settings; leave the rest out")
                tar.add(path, arcname=str(path.relative_to(folder)), recursive=False)
    except OSError as error:
        raise cannot("read", Path(error.filename or folder), error) from error
    return packed.getvalue()
