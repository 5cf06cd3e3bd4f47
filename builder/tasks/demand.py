"""How far the lock binds a run. Apart from `lock`, for who only wants to know whether anything was demanded at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How far the lock binds."""

    frozen: bool = False  # one that does not fit is an error
    offline: bool = False  # and nobody may be asked for anything else either
    again: bool = False  # bases, archives and commits are asked anew; packages stay
    update: tuple[str, ...] | None = None  # these tools and packages are asked anew; all if it is empty

    @property
    def anew(self) -> bool:
        return self.again or self.update is not None


USE: Final = Demand()
