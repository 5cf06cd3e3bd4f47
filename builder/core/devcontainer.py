"""devcontainer.json for the workstation of this folder: the same container, for editors that read that standard.

It names compose.yaml, so that there is one description of the container, and no path of a machine, so that it can be
committed. Source: the Development Container Specification, "devcontainer.json reference".
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from builder.core.service import parse_service

if TYPE_CHECKING:
    from builder.model import Runtime

DEVCONTAINER: Final = ".devcontainer/devcontainer.json"
COMPOSE: Final = ".workstation/compose.yaml"
MARK: Final = "// Made by `devbox devcontainer`"
HEADER: Final = f"""\
{MARK}, which writes it anew. An editor that opens this folder in its container gets the workstation
// that `devbox up` makes; the command `devbox` has to be on its PATH.
"""
DESKTOP: Final = "web"


def render_devcontainer(runtime: Runtime, *, workspace: str, static: str, file: str = DEVCONTAINER) -> str:
    """The text of `file`, a path below the folder `workspace`; `static` is the text of compose/workstation.yaml."""
    fixed = parse_service(static)
    doors = [port for port in runtime.ports if port.name == DESKTOP or port.name.split("-")[0] == "dev"]
    settings = {
        "name": runtime.project,
        # On the host, before anything else: what it makes is then found by the labels of Docker Compose.
        "initializeCommand": ["devbox", "up"],
        "dockerComposeFile": posixpath.relpath(COMPOSE, posixpath.dirname(file) or "."),
        "service": fixed.service,
        "workspaceFolder": _find_folder(runtime, workspace, fixed.volumes),
        "remoteUser": runtime.user,
        "updateRemoteUserUID": False,  # the workstation takes the id over by itself, without another image
        "overrideCommand": False,
        "shutdownAction": "none",  # the desktop stays when the editor is closed
        "forwardPorts": [port.container for port in doors],
        "portsAttributes": {
            str(port.container): {"label": "desktop" if port.name == DESKTOP else port.name, "onAutoForward": "silent"}
            for port in doors
        },
    }
    return HEADER + json.dumps(settings, indent=2, ensure_ascii=False) + "\n"


def _find_folder(runtime: Runtime, workspace: str, volumes: Mapping[str, str]) -> str:
    """Where this folder lies inside, if it is mounted, else the volume for projects."""
    mounted = [mount.target for mount in runtime.mounts if mount.source == workspace]
    return mounted[0] if mounted else volumes["projects"].format(user=runtime.user)
