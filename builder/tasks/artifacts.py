"""What the host fetches for an image, Node or a theme, brought onto the engine: as an image that builds copy from.

Owns when that is done: once for each engine, and not with every question and every build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.core.labels import LABEL_ARTIFACT
from builder.core.plan import find_artifact, plain_name
from builder.model import Note, StepProgress
from builder.tasks.base import download_progress
from builder.tasks.owner import find_our_image

if TYPE_CHECKING:
    from builder.model import Resolved, ResolvedTool
    from builder.tasks.interfaces import Context


def bring_node(context: Context, resolved: Resolved) -> None:
    """Node as the image takes it, which npm is asked by."""
    node = next(tool for tool in resolved.tools if tool.name == "node")
    bring_artifact(context, node, resolved.arch)


def bring_artifact(context: Context, tool: ResolvedTool, arch: str) -> None:
    """Fetch it, where the cache has it not, and import it, where the engine has it not. Raises HostError for what
    cannot be fetched, and EngineError."""
    artifact, started = find_artifact(tool), context.clock.now()
    tree = context.sources.fetch_tree(tool, arch, download_progress(context, tool.name, "fetch"))

    def is_there() -> bool:
        return find_our_image(context, artifact.image, LABEL_ARTIFACT, tool.name) is not None

    if not is_there():
        # Another workspace may be at it: over a slow line it takes minutes.
        with context.sources.alone(f"artifact-{plain_name(tool.name)}", lambda who: _say_whom(context, tool, who)):
            if not is_there():
                context.engine().import_folder(tree, artifact.tree, artifact.image, {LABEL_ARTIFACT: tool.name})
    seconds = context.clock.now() - started
    if seconds > 0.2:  # all was there otherwise: not worth a line
        context.report(StepProgress(name=tool.name, text="fetched and checked", state="done", seconds=seconds))


def _say_whom(context: Context, tool: ResolvedTool, who: str) -> None:
    context.report(Note(text=f"waiting for {who}, which brings {tool.name} onto the engine", level="warning"))
