"""What can go wrong, for a person to read: what happened, where, and what to do.

CoditectError            1  anything foreseeable without a code of its own
├── UsageError           2  the command line, or a file that a person wrote
├── StoreError           3  the store is damaged, locked, or not there; any file that cannot be used
├── StepsFailedError     4  `coditect run`: a step failed
├── ToolMissingError     5  git or restic is not installed, or refused
└── RefusedError         6  going on would lose something, and nobody said yes
Interrupted            130  Ctrl-C
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself would cost every command its import
if TYPE_CHECKING:
    from typing import ClassVar


class CoditectError(Exception):
    """`where` is a file, or a file and line; `hint` says what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.where, self.hint = where, hint

    def render(self) -> str:
        """The error as it is printed: `error: <where>: <what>` and the hint on a line of its own."""
        head = ": ".join(part for part in ("error", self.where, str(self)) if part)
        return f"{head}\nhint: {self.hint}" if self.hint else head


class UsageError(CoditectError):
    exit_code = 2


class StoreError(CoditectError):
    exit_code = 3


class StepsFailedError(CoditectError):
    exit_code = 4


class ToolMissingError(CoditectError):
    exit_code = 5


class RefusedError(CoditectError):
    exit_code = 6
