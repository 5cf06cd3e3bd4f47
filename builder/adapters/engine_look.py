"""One question to the engine without the SDK, whose import costs more than a no-op `up` may take.

Only for an engine behind a plain unix socket that answers as expected; anything else is None, and the caller asks the
SDK, which explains what is wrong.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from builder.adapters.engine.host import find_host
from builder.adapters.engine.views import container_view
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.model import ContainerView

ANSWER_S: Final = 2.0


class _SocketConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(self._path)


def look_containers(environment: Mapping[str, str], label: str) -> list[ContainerView] | None:
    """Containers that carry `label` (key=value), also stopped ones, by name; None where only the SDK can tell.

    The path names no API version, so the engine answers in its own: the fields read here are in all of them.
    """
    query = urlencode({"all": "1", "filters": json.dumps({"label": [label]})})
    try:
        path = find_host(environment).socket
        if path is None:
            return None
        connection = _SocketConnection(str(path))
        try:
            connection.request("GET", f"/containers/json?{query}")
            response = connection.getresponse()
            found = json.loads(response.read()) if response.status == 200 else None
        finally:
            connection.close()
        return None if found is None else sorted((container_view(item) for item in found), key=lambda view: view.name)
    except (EngineError, OSError, HTTPException, ValueError, KeyError, TypeError):
        return None  # not swallowed: the caller asks again through the SDK, and that answer says why
