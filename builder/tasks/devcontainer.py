"""`devbox devcontainer`: write devcontainer.json for this workstation. Asks neither mirrors nor the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.devcontainer import DEVCONTAINER, MARK, render_devcontainer
from builder.errors import ConfigError
from builder.tasks.prepare import read_request

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context


def write_devcontainer(context: Context, file: str | None, *, force: bool) -> Path:
    """`file` is a path below the workspace. One that we wrote is replaced, any other only with `force`.

    Raises ConfigError where it is somebody else's, or lies elsewhere.
    """
    file = file or DEVCONTAINER
    root = context.workspace.root
    outside = Path(file).is_absolute() or ".." in Path(file).parts
    if outside or not (root / file).parent.resolve().is_relative_to(root):  # a clone may bring a link along
        raise ConfigError("lies outside this folder", where=file, hint="editors look below .devcontainer/")
    runtime = read_request(context).resolved.runtime
    text = render_devcontainer(runtime, workspace=str(root), static=context.assets.service, file=file)
    there = context.workspace.read_file(file)
    if there is not None and not there.decode(errors="replace").startswith(MARK) and not force:
        raise ConfigError(
            "is there already, and devbox did not write it",
            where=str(root / file),
            hint="`--output .devcontainer/devbox/devcontainer.json` puts one beside it, which editors offer too; "
            "--force replaces it",
        )
    return context.workspace.write_file(file, text.encode(), force=True)
