"""A restore beside (`restore --to NAME`) that has not ended: what its volumes hold is not whole, and nobody may use it.

Who restores does not know NAME's folder, and can point that to nothing, so the volumes have their usual names at once.
Each has a mark instead, an empty volume of its own, from before it is there until all that came back is proved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context


def mark_of(volume: str) -> str:
    return f"{volume}_unfinished"


def refuse_unfinished(context: Context, project: str) -> None:
    """Raises EngineError where a volume that the workstation would use is not whole."""
    from builder.tasks.prepare import current_volumes  # here: who only wants `mark_of` does not pay for it

    there = context.engine().volumes(project)
    for name in current_volumes(context, project).values():
        if mark_of(name) in there:
            raise EngineError(
                f"the volume {name} is not whole: the restore that fills it was cut off, or still runs",
                hint="wait for it; if none runs, `devbox down --volumes --no-backup` here removes what it left, and "
                "the same `devbox restore --to` fills it again",
            )
