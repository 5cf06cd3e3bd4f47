"""Whose workstation is it: two folders can have the same name, and one must never take the other's for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.core.labels import LABEL_WORKSPACE
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView


def refuse_other_folder(context: Context, container: ContainerView) -> None:
    """Raises EngineError where `container` belongs to another workspace than the one that is worked in."""
    owner = container.labels.get(LABEL_WORKSPACE, "")
    if owner and owner != str(context.workspace.root):
        raise EngineError(
            f"the workstation {container.name} belongs to another folder, {owner}",
            hint="choose another name with `name:` in devbox.yaml, or run `devbox down` in that folder",
        )
